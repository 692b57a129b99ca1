import { expect, test } from '@jest/globals'

import { ledgerOf } from '../../../test/support/ledger-builder.js'

import { canonicalize, type Json } from './canonical.js'
import { GENESIS, parseEntry } from './entry.js'
import { toldBy } from './told.js'

test('it tells of every entry of a ledger what JSON.parse tells', () => {
  for (const batch of ledgerOf(3_000)) for (const { text } of batch) mustAgree(text)
})

test.each<[string, Json, string]>([
  ['no data', {}, 'Thing'],
  ['data that ends like an entry', { a: 'x","v":1}', b: '","type":"Other","v":1}' }, 'Thing'],
  ['data with colons and quotes', { 'a:"': ':",:', 'index"': [':'] }, 'Thing'],
  ['a member called __proto__', { ['__proto__']: 'x' }, 'Thing'],
  ['a type with a quote in it', { a: 1 }, 'a"type'],
  ['a type that only looks plain behind its quote', { a: 1 }, '","type":"Other'],
  ['a type with a backslash at its end', { a: 1 }, 'Thing\\'],
  ['a type beyond ASCII', { a: 'ö' }, 'Größe'],
  ['data beyond ASCII', { a: 'ö \u{1f511}' }, 'Thing'],
])('it reads %s alike', (_name, data, type) => {
  for (const index of [0, 7, 123_456, Number.MAX_SAFE_INTEGER]) {
    mustAgree(canonicalize({ data, index, prev: GENESIS, time: '2026-11-20T12:00:00.000Z', type, v: 1 }))
  }
})

function mustAgree(text: string): void {
  const { entry } = parseEntry(text)
  const { data, index, type } = toldBy(text)
  expect({ data, index, type }).toStrictEqual({ data: entry.data, index: entry.index, type: entry.type })
}
