import { createPrivateKey, createPublicKey, sign } from 'node:crypto'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { mutationsOf } from '../../../test/support/mutations.js'
import { refusal } from '../../../test/support/refusal.js'
import { base64, hex, tlog, unbase64, unhex } from '../../../test/support/tlog-vectors.js'
import {
  formatNote,
  formatSignatures,
  formatSkey,
  formatVkey,
  type Note,
  noteKey,
  parseNote,
  parseSignatures,
  parseSkey,
  parseVkey,
  signerFromSeed,
  signText,
  textVerifier,
  verifyEd25519,
  verifyNote,
} from './note.js'

const { log, w1 } = tlog.keys
const key = parseVkey(log.vkey)
const signer = signerFromSeed(log.name, 'ed25519', unhex(log.seedHex))

/** signed-note.md */
const published = {
  vkey: 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
  note:
    'This is an example message.\n\n' +
    '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n',
}

describe('keys', () => {
  test('are those of the vectors: names, IDs and both types of the same key', () => {
    expect(key).toEqual({ name: log.name, type: 'ed25519', id: log.keyId, publicKey: unhex(log.pubHex) })
    expect(signer.key).toEqual(key)
    expect(formatVkey(signerFromSeed(w1.name, 'cosignature', unhex(w1.seedHex)).key)).toBe(w1.vkeyCosig)
    expect(formatVkey(signerFromSeed(w1.name, 'ed25519', unhex(w1.seedHex)).key)).toBe(w1.vkeySameKeyType1)
    expect([parseVkey(w1.vkeyCosig).type, parseVkey(w1.vkeySameKeyType1).type]).toEqual([
      'cosignature',
      'ed25519',
    ])
  })

  test.each([
    published.vkey,
    'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2',
    'log.example.org+0a72cd63+AV2yLmzeBL9B3zFJNqal0JuqxiFve0m/eqmT1+KkLVeC',
    'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx',
  ])('the published %s reads and prints back', (vkey) => {
    expect(formatVkey(parseVkey(vkey))).toBe(vkey)
  })

  test('the secret form is that of Go, both ways', () => {
    expect(formatSkey(log.name, unhex(log.seedHex))).toBe(log.skey)
    expect(parseSkey(log.skey)).toEqual({ key, seed: unhex(log.seedHex) })
  })

  test('every key reads back', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
      .filter((text) => !/[\s\u0085+\p{Cc}]/u.test(text))
    fc.assert(
      fc.property(
        name,
        fc.constantFrom('ed25519' as const, 'cosignature' as const),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (name, type, bytes) => {
          const key = noteKey(name, type, bytes)
          expect(parseVkey(formatVkey(key))).toEqual(key)
        },
      ),
    )
  })

  test.each([
    ['nothing', ''],
    ['two parts', 'a+4ca2abf5'],
    ['no name', `+4ca2abf5+${base64(new Uint8Array(33))}`],
    ['an ID of another key', log.vkey.replace('4ca2abf5', '4ca2abf6')],
    ['another name', `x${log.vkey}`],
    ['upper-case hex', log.vkey.replace('4ca2abf5', '4CA2ABF5')],
    ['a short ID', log.vkey.replace('4ca2abf5', '4ca2abf')],
    ['a trailing line end', `${log.vkey}\n`],
    ['a name with a space', log.vkey.replace('broker', 'bro ker')],
    ['a key that is too short', 'a+4ca2abf5+AQI='],
    ['type 0x02', `a+4ca2abf5+${base64(Uint8Array.of(2, ...new Uint8Array(32)))}`],
    ['type 0x06', `a+4ca2abf5+${base64(Uint8Array.of(6, ...new Uint8Array(1312)))}`],
    ['the secret half', log.skey],
    ['base64 without its padding', 'a+4ca2abf5+AQ'],
    ['base64 for URLs', log.vkey.replaceAll('/', '_')],
    ['a fourth part', `${log.vkey}+AQ==`],
    ['a line end within', log.vkey.replace('+', '\n+')],
    ['a megabyte', 'a'.repeat(1_000_000)],
  ])('a vkey with %s is refused', (_, text) => {
    expect(['bad-key', 'bad-base64']).toContain(refusal(() => parseVkey(text)))
  })

  test.each([
    ['nothing', ''],
    ['the public half', log.vkey],
    ['an ID of another key', log.skey.replace('4ca2abf5', '4ca2abf6')],
    ['another prefix', log.skey.replace('PRIVATE', 'private')],
    ['type 0x04', log.skey.replace('+AQAB', '+BAAB')],
    ['a short seed', `PRIVATE+KEY+${log.name}+4ca2abf5+AQAB`],
    ['unpadded base64', `${log.skey.slice(0, -1)}`],
    ['a trailing line end', `${log.skey}\n`],
  ])('an skey with %s is refused, and the error does not show it', (_, text) => {
    const secret = text.split('+').at(-1) as string
    try {
      parseSkey(text)
      throw new Error('it was read')
    } catch (error) {
      expect((error as Error).name).toBe('FormatError')
      if (secret !== '') expect((error as Error).message).not.toContain(secret)
    }
  })

  test('no mutation of a key is another text for it', () => {
    fc.assert(
      fc.property(mutationsOf(log.vkey), mutationsOf(log.skey), (vkey, skey) => {
        if (vkey !== log.vkey) expect(['bad-key', 'bad-base64']).toContain(refusal(() => parseVkey(vkey)))
        if (skey !== log.skey) expect(['bad-key', 'bad-base64']).toContain(refusal(() => parseSkey(skey)))
      }),
      { numRuns: 500 },
    )
  })

  test('a name can have no space, plus, control character or lone surrogate', () => {
    for (const name of [
      '',
      'a b',
      'a+b',
      'a\u00a0b',
      'a\u2028',
      'a\u0085',
      'a\u3000',
      'a\0',
      'a\n',
      '\ud800',
    ]) {
      expect(refusal(() => noteKey(name, 'ed25519', new Uint8Array(32)))).toBe('bad-key')
    }
  })
})

describe('signatures', () => {
  test('are deterministic: the published blob of C2SP issue 99 comes out again', () => {
    const name = 'sigsum.org/v1/tree/e796172b92befd62d9dc67e41c2f5bc9d3100a3023b20b1ca40288dd1c679e69'
    const seed = new Uint8Array(32)
    seed[0] = 0x11
    const issue99 = signerFromSeed(name, 'ed25519', seed)
    expect(hex(issue99.key.publicKey)).toBe(
      '66e0b858e462a609e66fe71370c816d8846ff103d5499a22a7fec37fdbc424a7',
    )
    const text = `${name}\n10\nHA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n`
    expect(formatSignatures([signText(text, issue99)])).toBe(
      `— ${name} gJ2ho0n8F8olcerUF1FFdv235A/5as/coWrpLrtE7ovMeP5whgwouYExowG/lTznxu6OUGjjt5yJQ6bXtTcf718MqAQ=\n`,
    )
  })

  test("Node's crypto can sign instead, to the same bytes", () => {
    const pkcs8 = Buffer.concat([unhex('302e020100300506032b657004220420'), unhex(log.seedHex)])
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    const native = { key, sign: (message: Uint8Array) => new Uint8Array(sign(null, message, privateKey)) }
    expect(signText('a\n', native)).toEqual(signText('a\n', signer))
    expect(createPublicKey(privateKey).export({ format: 'jwk' }).x).toBe(
      Buffer.from(key.publicKey).toString('base64url'),
    )
  })

  test('a key of small order verifies nothing, though every signature satisfies its equation', () => {
    const neutral = Uint8Array.of(1, ...new Uint8Array(31))
    const signature = Uint8Array.of(...neutral, ...new Uint8Array(32))
    expect(verifyEd25519(neutral, Buffer.from('anything'), signature)).toBe(false)
  })

  test('a signature with its scalar in a second encoding is refused', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const { signature } = signText('a\n', signer)
    const scalar = BigInt(`0x${hex(signature.slice(32).reverse())}`) + order
    const malleated = Uint8Array.of(
      ...signature.slice(0, 32),
      ...unhex(scalar.toString(16).padStart(64, '0')).reverse(),
    )
    expect(verifyEd25519(key.publicKey, Buffer.from('a\n'), signature)).toBe(true)
    expect(verifyEd25519(key.publicKey, Buffer.from('a\n'), malleated)).toBe(false)
    expect(verifyEd25519(key.publicKey, Buffer.from('a\n'), signature.subarray(1))).toBe(false)
    expect(verifyEd25519(key.publicKey.subarray(1), Buffer.from('a\n'), signature)).toBe(false)
  })
})

describe('notes', () => {
  const checkpoint = tlog.checkpoints['7'] as string

  test('the published note verifies', () => {
    const verdict = verifyNote(parseNote(published.note), [textVerifier(parseVkey(published.vkey))])
    expect(verdict.ok).toBe(true)
    const changed = published.note.replace('example message', 'exemple message')
    expect(verifyNote(parseNote(changed), [textVerifier(parseVkey(published.vkey))])).toEqual({
      ok: false,
      problem: 'bad-signature',
    })
  })

  test('every signed vector reads and prints back, from text and from bytes', () => {
    for (const text of [published.note, ...Object.values(tlog.checkpoints)]) {
      expect(formatNote(parseNote(text))).toBe(text)
      expect(formatNote(parseNote(Buffer.from(text)))).toBe(text)
    }
  })

  test('the text ends at the last blank line, and may have others', () => {
    const note = { text: 'a\n\nb\n\n\n', signatures: [signText('a\n\nb\n\n\n', signer)] }
    expect(parseNote(formatNote(note))).toEqual(note)
    expect(verifyNote(parseNote(formatNote(note)), [textVerifier(key)]).ok).toBe(true)
  })

  test.each([
    ['nothing', '', 'truncated'],
    ['no blank line', 'a\n— a AAAAAAA=\n', 'truncated'],
    ['no signature', 'a\n\n', 'truncated'],
    ['no last line end', checkpoint.slice(0, -1), 'truncated'],
    ['nothing behind the key ID', 'a\n\n— a AAAAAA==\n', 'truncated'],
    ['less than a key ID', 'a\n\n— a AAA=\n', 'truncated'],
    ['CRLF', checkpoint.replaceAll('\n', '\r\n'), 'not-text'],
    ['a tab', `a\t${checkpoint}`, 'not-text'],
    ['a lone surrogate', `\ud800${checkpoint}`, 'not-text'],
    ['a hyphen for the dash', checkpoint.replace('—', '-'), 'bad-line'],
    ['two spaces', checkpoint.replace('— ', '—  '), 'bad-line'],
    ['a space at the end', checkpoint.replace('=\n\n', '=\n\n').replace(/=\n$/, '= \n'), 'bad-line'],
    ['a plus in the name', 'a\n\n— a+b AAAAAAA=\n', 'bad-line'],
    ['a no-break space in the name', 'a\n\n— a\u00a0b AAAAAAA=\n', 'bad-line'],
    ['no name', 'a\n\n—  AAAAAAA=\n', 'bad-line'],
    ['text behind the signatures', `${checkpoint}more\n`, 'bad-line'],
    ['unpadded base64', 'a\n\n— a AAAAAAA\n', 'bad-base64'],
    ['trailing bits', 'a\n\n— a AAAAAAB=\n', 'bad-base64'],
    ['the same signature twice', `${checkpoint}${checkpoint.slice(checkpoint.indexOf('—'))}`, 'duplicate'],
    ['another signature of the same key', `a\n\n— a AAAAAAA=\n— a AAAAAAE=\n`, 'duplicate'],
  ])('a note with %s is refused', (_, text, code) => {
    expect(refusal(() => parseNote(text))).toBe(code)
  })

  test('what is read prints back, and every prefix that is cut off is refused', () => {
    for (let length = 0; length < checkpoint.length; length++) {
      expect(refusal(() => parseNote(checkpoint.slice(0, length)))).toBeDefined()
    }
    fc.assert(
      fc.property(mutationsOf(checkpoint + tlog.cosignature.line), (text) => {
        if (refusal(() => parseNote(text)) === undefined) expect(formatNote(parseNote(text))).toBe(text)
      }),
      { numRuns: 2000 },
    )
  })

  test('64 signatures of 5 kB are too large, 16 of them are read, and so are 64 small ones', () => {
    const lines = (count: number, size: number): Note => ({
      text: 'a\n',
      signatures: Array.from({ length: count }, (_, i) => ({
        name: `w${i}`,
        id: '00000001',
        signature: new Uint8Array(size),
      })),
    })
    expect(parseNote(formatNote(lines(16, 5000))).signatures.length).toBe(16)
    expect(parseNote(formatNote(lines(64, 72))).signatures.length).toBe(64)
    expect(refusal(() => parseNote(formatNote(lines(64, 5000))))).toBe('too-large')
    expect(refusal(() => parseNote(formatNote(lines(65, 72))))).toBe('too-large')
  })

  test('a line that shares only the name or only the ID with a known key is ignored', () => {
    const { signature, id } = signText('a\n', signer)
    const strangers = [
      { name: log.name, id: '00000000', signature },
      { name: 'someone.example', id, signature: new Uint8Array(64) },
      { name: tlog.mldsa44.name, id: tlog.mldsa44.keyId, signature: new Uint8Array(8 + 2420) },
    ]
    const verifiers = [textVerifier(key)]
    const signed = { text: 'a\n', signatures: [...strangers, signText('a\n', signer)] }
    expect(verifyNote(parseNote(formatNote(signed)), verifiers)).toEqual({
      ok: true,
      signatures: [{ key, signature }],
    })
    expect(verifyNote({ text: 'a\n', signatures: strangers }, verifiers)).toEqual({
      ok: false,
      problem: 'no-known-key',
    })
    expect(verifyNote(signed, [])).toEqual({ ok: false, problem: 'no-known-key' })
  })

  test('one bad line of a known key refuses the note, though another known key signed it well', () => {
    const other = signerFromSeed(w1.name, 'ed25519', unhex(w1.seedHex))
    const note = { text: 'a\n', signatures: [signText('a\n', signer), signText('b\n', other)] }
    expect(verifyNote(note, [textVerifier(key)]).ok).toBe(true)
    expect(verifyNote(note, [textVerifier(key), textVerifier(other.key)])).toEqual({
      ok: false,
      problem: 'bad-signature',
    })
  })

  test('no bit of a signature or of the text can change', () => {
    const note = parseNote(checkpoint)
    const [line] = note.signatures
    const verifiers = [textVerifier(key)]
    for (let bit = 0; bit < 512; bit += 5) {
      const signature = Uint8Array.from(line?.signature ?? [])
      signature[Math.floor(bit / 8)] = (signature[Math.floor(bit / 8)] as number) ^ (1 << (bit % 8))
      const forged = { ...note, signatures: [{ name: log.name, id: log.keyId, signature }] }
      expect(verifyNote(forged, verifiers)).toEqual({ ok: false, problem: 'bad-signature' })
    }
    expect(verifyNote({ ...note, text: note.text.replace('7', '8') }, verifiers).ok).toBe(false)
  })

  test('signature lines alone are read as a witness answers them', () => {
    const { line, line2 } = tlog.cosignature
    expect(formatSignatures(parseSignatures(line + line2))).toBe(line + line2)
    expect(parseSignatures(line)[0]?.signature).toEqual(
      unbase64((line.split(' ')[2] as string).trim()).slice(4),
    )
    for (const text of ['', '\n', `\n${line}`, `${line}\n`, line.slice(0, -1), `${line}x`]) {
      expect(['truncated', 'bad-line']).toContain(refusal(() => parseSignatures(text)))
    }
    expect(refusal(() => parseSignatures(line + line))).toBe('duplicate')
  })
})
