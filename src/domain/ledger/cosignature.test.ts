import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { tlog, unhex } from '../../../test/support/tlog-vectors.js'
import { cosign, cosignatureMessage, cosignatureTime, cosignatureVerifier } from './cosignature.js'
import { formatSignatures, parseNote, parseSignatures, signerFromSeed, signText } from './note.js'

const { time, message, line, line2 } = tlog.cosignature
const body = parseNote(tlog.checkpoints['7'] as string).text
const w1 = signerFromSeed(tlog.keys.w1.name, 'cosignature', unhex(tlog.keys.w1.seedHex))
const w2 = signerFromSeed(tlog.keys.w2.name, 'cosignature', unhex(tlog.keys.w2.seedHex))
const { verify } = cosignatureVerifier(w1.key)

test('the vectors come out again: message, and both lines', () => {
  expect(Buffer.from(cosignatureMessage(body, time)).toString()).toBe(message)
  expect(formatSignatures([cosign(body, w1, time)])).toBe(line)
  expect(formatSignatures([cosign(body, w2, time + 1)])).toBe(line2)
})

test('a cosignature verifies for its witness and its checkpoint only', () => {
  const signature = parseSignatures(line)[0]?.signature as Uint8Array
  expect(verify(body, signature)).toBe(true)
  expect(verify(body.replace('7', '8'), signature)).toBe(false)
  expect(cosignatureVerifier(w2.key).verify(body, signature)).toBe(false)
})

test('no bit of the time or of the signature can change', () => {
  const { signature } = cosign(body, w1, time)
  const accepted = Array.from({ length: signature.length * 8 }, (_, bit) => bit)
    .filter((bit) => bit < 64 || bit % 7 === 0)
    .filter((bit) => {
      const at = Math.floor(bit / 8)
      return verify(body, signature.with(at, (signature[at] as number) ^ (1 << (bit % 8))))
    })
  expect(accepted).toEqual([])
})

test('a plain signature of the log is no cosignature, and a cut one is none', () => {
  expect(verify(body, signText(body, w1).signature)).toBe(false)
  const { signature } = cosign(body, w1, time)
  expect(verify(body, signature.subarray(1))).toBe(false)
  expect(verify(body, Uint8Array.of(...signature, 0))).toBe(false)
  expect(verify(body, new Uint8Array(0))).toBe(false)
})

test('times go from 0 to 2^53-1', () => {
  for (const unixSeconds of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const { signature } = cosign(body, w1, unixSeconds)
    expect(cosignatureTime(signature)).toBe(unixSeconds)
    expect(verify(body, signature)).toBe(true)
  }
  for (const unixSeconds of [-1, 1.5, NaN, 2 ** 53])
    expect(() => cosign(body, w1, unixSeconds)).toThrow(RangeError)
  const beyond = new Uint8Array(72).fill(0xff, 0, 8)
  expect(cosignatureTime(beyond)).toBeUndefined()
  expect(verify(body, beyond)).toBe(false)
})

test('every cosignature prints as a line that reads back, and verifies for its time alone', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), fc.string({ unit: 'grapheme' }), (at, other, extra) => {
      const text = `${body}${extra}`
      const made = cosign(text, w1, at)
      const [read] = parseSignatures(formatSignatures([made]))
      expect(read).toEqual(made)
      expect([cosignatureTime(made.signature), verify(text, made.signature)]).toEqual([at, true])
      const moved = Uint8Array.of(
        ...cosign(text, w1, other).signature.subarray(0, 8),
        ...made.signature.subarray(8),
      )
      expect(verify(text, moved)).toBe(other === at)
      expect(verify(`${text}x`, made.signature)).toBe(false)
    }),
    { numRuns: 20 },
  )
})
