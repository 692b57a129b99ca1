import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { mutationsOf } from '../../../test/support/mutations.js'
import { refusal } from '../../../test/support/refusal.js'
import { base64, testEntry, tlog, unbase64, unhex } from '../../../test/support/tlog-vectors.js'
import {
  formatCheckpoint,
  formatSignedCheckpoint,
  parseCheckpoint,
  parseSignedCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
} from './checkpoint.js'
import { hashLeaf, Tree } from './merkle.js'
import { formatNote, parseNote, parseVkey, signerFromSeed, signText } from './note.js'

const { log, w1, w2 } = tlog.keys
const signer = signerFromSeed(log.name, 'ed25519', unhex(log.seedHex))
const seven = tlog.checkpoints['7'] as string
const body = parseNote(seven).text

test('the vectors come out again, byte for byte, when the same trees are signed', () => {
  const tree = new Tree()
  for (let size = 0; size <= 7; size++) {
    const expected = tlog.checkpoints[size]
    if (expected) expect(signCheckpoint({ origin: log.name, ...tree.head() }, signer)).toBe(expected)
    tree.append(hashLeaf(testEntry(size)))
  }
})

test('the vectors read, print back and verify', () => {
  for (const [size, text] of Object.entries(tlog.checkpoints)) {
    const signed = parseSignedCheckpoint(text)
    expect(signed).toMatchObject({
      origin: log.name,
      size: Number(size),
      root: unbase64(tlog.roots[size] as string),
    })
    expect(formatSignedCheckpoint(signed)).toBe(text)
    expect(verifyCheckpoint(signed, [signer.key])).toEqual({ ok: true, log: signer.key, cosignatures: [] })
  }
})

test('every body reads back', () => {
  const origin = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !/\p{Cc}/u.test(text))
  const root = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(
    fc.property(origin, fc.maxSafeNat(), root, (origin, size, root) => {
      expect(parseCheckpoint(formatCheckpoint({ origin, size, root }))).toEqual({ origin, size, root })
    }),
  )
})

test.each([
  ['nothing', '', 'truncated'],
  ['two lines', 'a\n1\n', 'truncated'],
  ['no last line end', body.slice(0, -1), 'truncated'],
  ['an extension line', `${body}more\n`, 'extension-line'],
  ['an empty extension line', `${body}\n`, 'extension-line'],
  ['the start of an extension line', `${body}more`, 'extension-line'],
  ['no origin', body.replace(log.name, ''), 'bad-line'],
  ['a leading zero', body.replace('\n7\n', '\n07\n'), 'bad-number'],
  ['a negative size', body.replace('\n7\n', '\n-7\n'), 'bad-number'],
  ['a size in hex', body.replace('\n7\n', '\n0x7\n'), 'bad-number'],
  ['a size beyond 2^53', body.replace('\n7\n', '\n9007199254740992\n'), 'bad-number'],
  ['no size', body.replace('\n7\n', '\n\n'), 'bad-number'],
  ['a root of 31 bytes', `a\n7\n${base64(new Uint8Array(31))}\n`, 'bad-base64'],
  ['a root of 33 bytes', `a\n7\n${base64(new Uint8Array(33))}\n`, 'bad-base64'],
  ['a root without padding', body.replace('=\n', '\n'), 'bad-base64'],
  ['a root with trailing bits', body.replace('WF0=', 'WF1='), 'bad-base64'],
  ['a root in hex', `a\n7\n${'0'.repeat(64)}\n`, 'bad-base64'],
  ['CRLF', body.replaceAll('\n', '\r\n'), 'not-text'],
  ['a lone surrogate', `\udfff${body}`, 'not-text'],
  ['5 kB of origin', 'a'.repeat(5000) + body, 'too-large'],
])('a checkpoint with %s is refused', (_, text, code) => {
  expect(refusal(() => parseCheckpoint(text))).toBe(code)
})

test.each([
  ['the same signature twice', (text: string) => text + text.slice(text.indexOf('—')), 'duplicate'],
  ['65 signatures', (text: string) => text + strangers(64), 'too-large'],
  ['an extension line', (text: string) => text.replace('\n\n', '\nmore\n\n'), 'extension-line'],
  ['a blank line more', (text: string) => text.replace('\n\n', '\n\n\n'), 'extension-line'],
  ['its signature in URL base64', (text: string) => text.replace(/[+/](?=[^\n]*\n$)/g, '-'), 'bad-base64'],
])('a signed checkpoint with %s is refused', (_, change, code) => {
  expect(refusal(() => parseSignedCheckpoint(change(seven)))).toBe(code)
})

/** Lines of as many keys, none of them known. */
function strangers(count: number): string {
  return Array.from({ length: count }, (_, i) => `— w${i} ${base64(new Uint8Array(8))}\n`).join('')
}

test('every signed checkpoint that is cut off is refused', () => {
  for (let length = 0; length < seven.length; length++)
    expect([length, refusal(() => parseSignedCheckpoint(seven.slice(0, length)))]).not.toEqual([
      length,
      undefined,
    ])
})

test('what is read prints back: no mutation is a second text of the same checkpoint', () => {
  fc.assert(
    fc.property(mutationsOf(body), mutationsOf(seven), (body, signed) => {
      if (refusal(() => parseCheckpoint(body)) === undefined)
        expect(formatCheckpoint(parseCheckpoint(body))).toBe(body)
      if (refusal(() => parseSignedCheckpoint(signed)) !== undefined) return
      const read = parseSignedCheckpoint(signed)
      expect(formatSignedCheckpoint(read)).toBe(signed)
      expect(formatCheckpoint(read)).toBe(read.note.text)
    }),
    { numRuns: 2000 },
  )
})

test('nothing is signed that could not be read, nor with a key of another name or type', () => {
  const checkpoint = { ...parseCheckpoint(body) }
  expect(() => signCheckpoint({ ...checkpoint, origin: 'other.example' }, signer)).toThrow(RangeError)
  const cosigner = signerFromSeed(log.name, 'cosignature', unhex(log.seedHex))
  expect(() => signCheckpoint(checkpoint, cosigner)).toThrow(RangeError)
  expect(() => signCheckpoint({ ...checkpoint, root: new Uint8Array(31) }, signer)).toThrow(RangeError)
  expect(refusal(() => signCheckpoint({ ...checkpoint, size: 1.5 }, signer))).toBe('bad-number')
  expect(refusal(() => signCheckpoint({ ...checkpoint, size: 2 ** 53 }, signer))).toBe('bad-number')
})

test('cosignatures are given with their times, those of unknown witnesses not at all', () => {
  const signed = parseSignedCheckpoint(seven + tlog.cosignature.line + tlog.cosignature.line2)
  const [first, second] = [parseVkey(w1.vkeyCosig), parseVkey(w2.vkeyCosig)]
  const { time } = tlog.cosignature
  expect(verifyCheckpoint(signed, [signer.key], [first, second])).toEqual({
    ok: true,
    log: signer.key,
    cosignatures: [
      { witness: first, time },
      { witness: second, time: time + 1 },
    ],
  })
  expect(verifyCheckpoint(signed, [signer.key], [second])).toMatchObject({
    cosignatures: [{ witness: second, time: time + 1 }],
  })
})

test('a checkpoint of another origin is refused, though a known log signed it', () => {
  const text = body.replace(log.name, 'evil.example/ledger')
  const signed = parseSignedCheckpoint(formatNote({ text, signatures: [signText(text, signer)] }))
  expect(verifyCheckpoint(signed, [signer.key])).toEqual({ ok: false, problem: 'unknown-origin' })
  const evil = signerFromSeed('evil.example/ledger', 'ed25519', unhex(w1.seedHex))
  expect(verifyCheckpoint(signed, [signer.key, evil.key])).toEqual({
    ok: false,
    problem: 'not-signed-by-log',
  })
})

test('cosignatures alone do not make a checkpoint, and a witness key is no log key', () => {
  const note = { text: body, signatures: parseNote(seven + tlog.cosignature.line).signatures.slice(1) }
  const signed = parseSignedCheckpoint(formatNote(note))
  const witness = parseVkey(w1.vkeyCosig)
  expect(verifyCheckpoint(signed, [signer.key], [witness])).toEqual({
    ok: false,
    problem: 'not-signed-by-log',
  })
  const asLog = { ...witness, name: log.name }
  expect(verifyCheckpoint(signed, [asLog])).toEqual({ ok: false, problem: 'unknown-origin' })
})

test('one bad line under a known key refuses the checkpoint', () => {
  const forged = seven.replace('\n7\n', '\n8\n')
  expect(verifyCheckpoint(parseSignedCheckpoint(forged), [signer.key])).toEqual({
    ok: false,
    problem: 'bad-signature',
  })
  const cosigned = parseSignedCheckpoint(seven + tlog.cosignature.line.replace('AABlU', 'AABlV'))
  const witness = parseVkey(w1.vkeyCosig)
  expect(verifyCheckpoint(cosigned, [signer.key], [witness])).toEqual({ ok: false, problem: 'bad-signature' })
  expect(verifyCheckpoint(cosigned, [signer.key]).ok).toBe(true)
})

test('after a rotation, either key of the log will do', () => {
  const next = signerFromSeed(log.name, 'ed25519', unhex(w2.seedHex))
  const rotated = parseSignedCheckpoint(signCheckpoint(parseCheckpoint(body), next))
  expect(verifyCheckpoint(rotated, [signer.key, next.key])).toMatchObject({ ok: true, log: next.key })
  expect(verifyCheckpoint(rotated, [signer.key])).toEqual({ ok: false, problem: 'not-signed-by-log' })
})
