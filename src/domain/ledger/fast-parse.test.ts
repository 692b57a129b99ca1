import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { LedgerBuilder, ledgerOf } from '../../../test/support/ledger-builder.js'

import { canonicalize, type Json } from './canonical.js'
import { EntryError, parseEntry } from './entry.js'
import { parseChainFields, type ChainFields } from './fast-parse.js'

/** What parseEntry makes of a text: the judge of what scanLink says. */
function judged(text: string): ChainFields | undefined {
  try {
    const { entry, leafHash } = parseEntry(text)
    return { index: entry.index, prev: entry.prev, time: entry.time, leafHash }
  } catch (error) {
    if (error instanceof EntryError) return undefined
    throw error
  }
}

const entry = (data: Json, rest: object = {}): string =>
  canonicalize({
    data,
    index: 7,
    prev: 'a'.repeat(64),
    time: '2026-11-20T12:00:00.000Z',
    type: 'T',
    v: 1,
    ...rest,
  })

test('every entry that a broker writes is scanned, and read as parseEntry reads it', () => {
  for (const { text } of [...ledgerOf(2_000)].flat()) expect(parseChainFields(text)).toEqual(judged(text))
})

test('plain values of every kind are scanned', () => {
  const text = entry({
    a: [1, -1, 0, [], {}, 'x', [null, true, false]],
    b: { c: { d: 'e' } },
    ba: '',
    'b ': 1,
    '': 0,
  })
  expect(parseChainFields(text)).toEqual(judged(text))
  expect(parseChainFields(text)).toBeDefined()
})

test.each([
  ['not ASCII', entry({ a: 'é' })],
  ['an escape', entry({ a: '"' })],
  ['a large number', entry({ a: 9_007_199_254_740_991 })],
  ['nesting', entry({ a: [[[[[[[[[[]]]]]]]]]] })],
])('of %s it says nothing, and parseEntry decides', (_, text) => {
  expect(parseChainFields(text)).toBeUndefined()
  expect(judged(text)).toBeDefined()
})

const plain = entry({ a: 1, b: 'x', c: [1, 2] })
test.each([
  ['members out of order', plain.replace('{"a":1,"b":"x"', '{"b":"x","a":1')],
  ['a member twice', plain.replace('"b":"x"', '"a":1')],
  ['a prefix after the longer name', entry({ a: 1, ab: 2 }).replace('"a":1,"ab":2', '"ab":2,"a":1')],
  ['white space', plain.replace(',"b"', ', "b"')],
  ['a leading zero', plain.replace('"a":1', '"a":01')],
  ['minus zero', plain.replace('"a":1', '"a":-0')],
  ['a fraction', plain.replace('"a":1', '"a":1.5')],
  ['an exponent', plain.replace('"a":1', '"a":1e3')],
  ['a bare minus', plain.replace('"a":1', '"a":-')],
  ['a comma too many', plain.replace('[1,2]', '[1,2,]')],
  ['a negative index', plain.replace('"index":7', '"index":-7')],
  ['a leading zero in the index', plain.replace('"index":7', '"index":07')],
  ['upper-case hex', plain.replace('aaaa', 'AAAA')],
  ['a day that is not', plain.replace('11-20', '02-30')],
  ['an empty type', plain.replace('"T"', '""')],
  ['another version', plain.replace('"v":1', '"v":2')],
  ['data that is a list', plain.replace(/\{"a".*\]\}/, '[]')],
  ['a member more', plain.replace('"v":1', '"v":1,"w":1')],
  ['text after it', `${plain} `],
  ['a NUL in it', plain.replace('"x"', '"\0"')],
  ['an end in its midst', plain.slice(0, 40)],
  ['nothing', ''],
])('%s is accepted by neither', (_, text) => {
  expect(text).not.toBe(plain)
  expect([parseChainFields(text), judged(text)]).toEqual([undefined, undefined])
})

test('what it accepts, parseEntry accepts and reads alike: for any text', () => {
  const texts = LedgerBuilder.opened().awsMint().refusalsCounted().texts
  const pieces = [
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '0',
    '-',
    '1',
    'e',
    '.',
    ' ',
    'true',
    'null',
    '\u00e9',
    '\0',
    '"":',
    '\\u0061',
  ]
  const edit = fc.record({
    text: fc.constantFrom(...texts),
    at: fc.nat(700),
    cut: fc.nat(3),
    piece: fc.constantFrom(...pieces),
  })
  const property = fc.property(edit, ({ text, at, cut, piece }) => {
    const edited = text.slice(0, at) + piece + text.slice(at + cut)
    const scanned = parseChainFields(edited)
    if (scanned) expect(scanned).toEqual(judged(edited))
  })
  fc.assert(property, { numRuns: 5_000 })
})

test('what it accepts, parseEntry accepts and reads alike: for any data', () => {
  const property = fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
    const text = entry(data as Json)
    const loose = JSON.stringify({ ...(JSON.parse(text) as object), data })
    for (const candidate of [text, loose]) {
      const scanned = parseChainFields(candidate)
      if (scanned) expect(scanned).toEqual(judged(candidate))
    }
  })
  fc.assert(property, { numRuns: 2_000 })
})
