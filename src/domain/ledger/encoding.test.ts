import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { base64 } from '../../../test/support/tlog-vectors.js'
import { refusal } from '../../../test/support/refusal.js'
import { decodeBase64, decodeHash, encodeBase64, parseDecimal, readText, sameBytes } from './encoding.js'

test('base64 is what Node writes, and comes back as it was', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(encodeBase64(bytes)).toBe(base64(bytes))
      expect(decodeBase64(base64(bytes), 'x')).toEqual(bytes)
    }),
  )
})

test.each([
  ['missing padding', 'AA'],
  ['half the padding', 'AA='],
  ['too much padding', 'AAAA===='],
  ['padding in the middle', 'AA==AAAA'],
  ['padding alone', '===='],
  ['one digit', 'A==='],
  ['trailing bits behind one byte', 'AB=='],
  ['trailing bits behind two bytes', 'AAB='],
  ['the URL alphabet', '-_-_'],
  ['white space', 'AA A'],
  ['a line end', 'AAA\n'],
  ['a letter beyond ASCII', 'AAAé'],
  ['a letter beyond the table', 'AAA\u{1f600}'],
])('base64 with %s is refused', (_, text) => {
  expect(refusal(() => decodeBase64(text, 'x'))).toBe('bad-base64')
})

test('base64 has one text for each byte string: what is read prints back, and all else is refused', () => {
  const digits = fc.constantFrom(...'AQgwZz09+/=-_ ')
  fc.assert(
    fc.property(fc.string({ unit: digits, maxLength: 12 }), (text) => {
      const isCanonical = base64(Buffer.from(text, 'base64')) === text
      expect(refusal(() => decodeBase64(text, 'x'))).toBe(isCanonical ? undefined : 'bad-base64')
    }),
    { numRuns: 2000 },
  )
})

test('a hash has 32 bytes', () => {
  expect(decodeHash(base64(new Uint8Array(32)), 'x')).toEqual(new Uint8Array(32))
  expect(refusal(() => decodeHash(base64(new Uint8Array(31)), 'x'))).toBe('bad-base64')
  expect(refusal(() => decodeHash(base64(new Uint8Array(33)), 'x'))).toBe('bad-base64')
  expect(refusal(() => decodeHash('', 'x'))).toBe('bad-base64')
})

test('a number is decimal, without leading zeros, up to 2^53-1', () => {
  expect(parseDecimal('0', 'x')).toBe(0)
  expect(parseDecimal('9007199254740991', 'x')).toBe(Number.MAX_SAFE_INTEGER)
  const bad = [
    '',
    '00',
    '01',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x1',
    ' 1',
    '1 ',
    '1\n',
    '١',
    '9007199254740992',
    '9'.repeat(400),
  ]
  for (const text of bad) expect([text, refusal(() => parseDecimal(text, 'x'))]).toEqual([text, 'bad-number'])
})

const LIMITS = { what: 'x', maxBytes: 8 }

test('text is read from a string or from its UTF-8, to the same', () => {
  expect(readText(Buffer.from('é\n€'), LIMITS)).toBe('é\n€')
  expect(readText('é\n€', LIMITS)).toBe('é\n€')
  // A BOM is kept: dropped, it would give the text a second spelling.
  expect(readText(Buffer.from('\ufeffa'), LIMITS)).toBe('\ufeffa')
})

test('the cap is in bytes, whatever the text comes as', () => {
  expect(readText('12345678', LIMITS)).toBe('12345678')
  expect(refusal(() => readText('123456789', LIMITS))).toBe('too-large')
  expect(refusal(() => readText('€€€', LIMITS))).toBe('too-large')
  expect(refusal(() => readText(Buffer.from('€€€'), LIMITS))).toBe('too-large')
})

test('what is no UTF-8, or has control characters, is refused', () => {
  const bytes = [
    [0xff],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2, 0x82],
    [0x61, 0x00],
    [0x0d, 0x0a],
  ]
  for (const source of bytes)
    expect(refusal(() => readText(Uint8Array.from(source), LIMITS))).toBe('not-text')
  for (const text of ['\ud800', 'a\udc00', '\r\n', '\t', '\0', '\x1b[2J']) {
    expect(refusal(() => readText(text, LIMITS))).toBe('not-text')
  }
  expect(readText('a\tb', LIMITS, '\t')).toBe('a\tb')
})

test('bytes are the same in length and in each byte', () => {
  expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true)
  expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false)
  expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false)
  expect(sameBytes(Uint8Array.of(1, 2, 0), Uint8Array.of(1, 2))).toBe(false)
})
