// Somebody with the operator's rights rewrites a real broker's ledger. What verify-ledger says of it, entry by entry.
// What only an EventStoreDB event can have changed is in eventstoredb-tamper.fault.test.ts.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { canonicalize, type Json } from '../../src/domain/ledger/canonical.js'
import { leafHash } from '../../src/domain/ledger/entry.js'
import { verifyLedger } from '../../src/domain/ledger/verify.js'
import { LEDGERS } from '../support/ledger-home.js'
import { AT, type MintedLedger, mintedLedger } from '../support/minted-ledger.js'
import type { Remembered } from '../support/verified-ledger.js'

type Tampering = (texts: readonly string[]) => string[]

function replaced(at: number, from: string | RegExp, to: string): Tampering {
  return (entries) => entries.map((text, i) => (i === at ? text.replace(from, to) : text))
}

/** Changes one entry's data and forges every link from there on: what somebody who can rewrite the whole file would do. */
function rechained(at: number, change: (data: Record<string, Json>) => object): Tampering {
  return (entries) => {
    let prev: string | undefined
    return entries.map((text, i) => {
      if (i < at) return text
      const entry = JSON.parse(text) as Record<string, Json>
      if (i === at) entry['data'] = change(entry['data'] as Record<string, Json>) as Json
      if (prev !== undefined) entry['prev'] = prev
      const forged = canonicalize(entry)
      prev = leafHash(forged)
      return forged
    })
  }
}

const otherDigit: Tampering = (entries) =>
  entries.with(
    AT,
    (entries[AT] ?? '').replace(
      /"tokenSha256":"(.)/,
      (_, digit) => `"tokenSha256":"${digit === 'a' ? 'b' : 'a'}`,
    ),
  )
const cut: Tampering = (entries) => entries.slice(0, -2)
const otherToken = rechained(AT, (data) => ({ ...data, tokenSha256: 'f'.repeat(64) }))

type Row = [string, Tampering, [number, string]]
const SPACE: Row = ['a space that JSON does not mind', replaced(AT, '"v":1', '"v": 1'), [AT, 'not-canonical']]

describe.each(LEDGERS)('the ledger in $ledger', ({ ledger: where, openHome }) => {
  let ledger: MintedLedger

  beforeAll(async () => {
    ledger = await mintedLedger(openHome)
  })
  afterAll(() => ledger.dispose())

  /** The verdict on the ledger with these entries instead. */
  async function found(tampering: Tampering, by: Remembered = {}): Promise<[number, string][]> {
    const { findings, ok } = await ledger.verdictWith(tampering(ledger.texts), by)
    expect(ok).toBe(findings.length === 0)
    return findings.map(({ index, kind }) => [index, kind])
  }

  test('untouched, nothing is found, with whatever is remembered', async () => {
    expect(await found((entries) => [...entries], ledger.remembered)).toEqual([])
  })

  describe('a byte is changed in a member of an entry', () => {
    test.each<Row>([
      ['data, and its form is lost', replaced(AT, /"wallet":"0x./, '"wallet":"0xg'), [AT, 'wrong-shape']],
      ['data, to another good value: only the next entry tells', otherDigit, [AT + 1, 'broken-link']],
      ['index', replaced(AT, '"index":7', '"index":8'), [AT, 'wrong-index']],
      ['prev', replaced(AT, /"prev":"../, '"prev":"gg'), [AT, 'malformed']],
      ['time', replaced(AT, /"time":"20/, '"time":"19'), [AT, 'time-backwards']],
      ['type', replaced(AT, '"SessionValidated"', '"SessionValidatec"'), [AT, 'unknown-type']],
      ['v', replaced(AT, '"v":1', '"v":2'), [AT, 'malformed']],
      // A stream keeps members, not text: there is no place for a space that would be seen again.
      ...(where === 'sqlite' ? [SPACE] : []),
    ])('%s', async (_member, tampering, finding) => {
      const findings = await found(tampering)
      expect(findings[0]).toEqual(finding)
      // Unless the entry is unreadable, the one after it also tells.
      expect(findings).toContainEqual([AT + 1, 'broken-link'])
    })

    // Of the texts alone, which are the same wherever they are kept.
    if (where === 'sqlite')
      test('whichever byte it is, something is found', () => {
        const { texts, remembered } = ledger
        for (const [index, text] of texts.entries()) {
          for (let at = 0; at < text.length; at += 1) {
            const flipped = text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1)
            const { ok } = verifyLedger(texts.with(index, flipped))
            // Nothing follows the last entry: whether it was changed within its form, only a remembered head can tell.
            if (ok) expect(index).toBe(texts.length - 1)
            expect(verifyLedger(texts.with(index, flipped), remembered.expected).ok).toBe(false)
          }
        }
      })
  })

  describe('whole entries are moved', () => {
    test.each<Row>([
      ['one is removed', (entries) => entries.toSpliced(AT, 1), [AT, 'wrong-index']],
      [
        'one is put in twice',
        (entries) => entries.toSpliced(AT, 0, entries[AT] as string),
        [AT + 1, 'wrong-index'],
      ],
      [
        'two change places',
        (entries) => entries.toSpliced(AT, 2, entries[AT + 1] as string, entries[AT] as string),
        [AT, 'wrong-index'],
      ],
      ['the first is gone', (entries) => entries.slice(1), [0, 'wrong-index']],
    ])('%s', async (_what, tampering, finding) => {
      expect((await found(tampering))[0]).toEqual(finding)
    })
  })

  describe('one field is changed and every later entry chained again', () => {
    test('what cannot have happened is found without any memory: a JWT for another wallet than its session’s', async () => {
      const other = `0x${'0'.repeat(40)}`
      const findings = await found(rechained(AT + 1, (data) => ({ ...data, wallet: other })))
      expect(findings[0]).toEqual([AT + 1, 'wrong-wallet'])
    })

    test('what could have happened is found only with an older head', async () => {
      expect(await found(otherToken)).toEqual([])
      expect(await found(otherToken, { expected: ledger.remembered.expected })).toEqual([
        [ledger.texts.length - 1, 'other-head'],
      ])
    })

    test('what could have happened is found only with an older checkpoint', async () => {
      const { checkpoint, vkey } = ledger.remembered
      expect((await found(otherToken, { checkpoint, vkey })).map(([, kind]) => kind)).toEqual(['other-head'])
    })
  })

  describe('the tail is cut off', () => {
    test('what is left is a valid ledger: found only with an older size', async () => {
      expect(await found(cut)).toEqual([])
      expect(await found(cut, { expected: ledger.remembered.expected })).toEqual([
        [ledger.texts.length - 2, 'cut-off'],
      ])
    })

    test('what is left is a valid ledger: found only with an older checkpoint', async () => {
      const { checkpoint, vkey } = ledger.remembered
      expect((await found(cut, { checkpoint, vkey })).map(([, kind]) => kind)).toEqual(['cut-off'])
    })
  })
})
