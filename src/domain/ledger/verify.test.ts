import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { LedgerBuilder, ledgerOf } from '../../../test/support/ledger-builder.js'

import { canonicalize, type Json } from './canonical.js'
import { chain, type Entry, leafHash, parseEntry } from './entry.js'
import { verifyLedger, type Row } from './verify.js'

const ledger = LedgerBuilder.opened().oidcMint().awsMint().refused().refusalsCounted()
const texts = ledger.texts

const found = (rows: Iterable<Row>): [number, string][] =>
  verifyLedger(rows).findings.map(({ index, kind }) => [index, kind])

type Change = (entry: Record<string, Json>) => Record<string, Json>

const changed = (text: string, change: Change): string =>
  canonicalize(change(JSON.parse(text) as Record<string, Json>))

/** The attacker who rewrites `texts[at]` and every link after it. */
function rechained(at: number, change: Change): string[] {
  const rows = texts.slice(0, at)
  for (const text of [changed(texts[at]!, change), ...texts.slice(at + 1)]) {
    const prev = rows.length === 0 ? '0'.repeat(64) : leafHash(rows.at(-1)!)
    rows.push(changed(text, (entry) => ({ ...entry, prev, index: rows.length })))
  }
  return rows
}

const inData =
  (member: string, value: Json): Change =>
  (entry) => ({ ...entry, data: { ...(entry.data as object), [member]: value } })

test('a ledger that no one touched is verified, with its size and head', () => {
  expect(verifyLedger(texts)).toMatchObject({ ok: true, size: 11, head: ledger.head, firstFinding: null })
})

describe('one entry of it', () => {
  test('whose bytes are flipped is found, whichever member they belong to', () => {
    const text = texts[5]!
    const flips: Record<string, [string, [number, string][]]> = {
      data: [text.replace('"aud":"sts', '"aud":"stz'), [[6, 'broken-link']]],
      index: [
        text.replace('"index":5', '"index":4'),
        [
          [5, 'wrong-index'],
          [5, 'wrong-index'],
          [6, 'broken-link'],
        ],
      ],
      prev: [
        text.replace(/"prev":"./, '"prev":"g'),
        [
          [5, 'malformed'],
          [6, 'broken-link'],
        ],
      ],
      time: [
        text.replace('"time":"2026', '"time":"2027'),
        [
          [5, 'wrong-issue-time'],
          [6, 'broken-link'],
          [6, 'time-backwards'],
        ],
      ],
      type: [
        text.replace('JwtIssued', 'JwtIssuee'),
        [
          [5, 'unknown-type'],
          [6, 'broken-link'],
        ],
      ],
      v: [
        text.replace('"v":1', '"v":2'),
        [
          [5, 'malformed'],
          [6, 'broken-link'],
        ],
      ],
    }
    for (const [member, [flipped, findings]] of Object.entries(flips)) {
      expect(flipped).not.toBe(text)
      expect({ member, found: found(texts.with(5, flipped)) }).toEqual({ member, found: findings })
    }
  })

  test('is found when any single byte of it is changed', () => {
    const text = texts[5]!
    for (let i = 0; i < text.length; i += 1) {
      const other = text[i] === '0' ? '1' : '0'
      const { ok, firstFinding } = verifyLedger(texts.with(5, text.slice(0, i) + other + text.slice(i + 1)))
      expect({ i, ok, near: firstFinding?.index === 5 || firstFinding?.index === 6 }).toEqual({
        i,
        ok: false,
        near: true,
      })
    }
  })

  test('that is removed is found where it was', () => {
    expect(found(texts.toSpliced(10 - 2, 1))).toEqual([
      [8, 'wrong-index'],
      [9, 'broken-link'],
    ])
    expect(found(texts.slice(1)).slice(0, 2)).toEqual([
      [0, 'wrong-index'],
      [1, 'broken-link'],
    ])
  })

  test('that is inserted is found', () => {
    const copy = changed(texts[9]!, inData('detail', 'inserted'))
    expect(found(texts.toSpliced(9, 0, copy))).toEqual([
      [10, 'wrong-index'],
      [9, 'broken-link'],
      [9, 'mint-id-repeated'],
    ])
  })

  test('that is swapped with the next is found', () => {
    const swapped = texts.with(4, texts[5]!).with(5, texts[4]!)
    expect(verifyLedger(swapped).firstFinding).toMatchObject({ index: 4, kind: 'wrong-index' })
  })

  test('that is not canonical is found, whatever it says', () => {
    const [text] = texts as [string]
    for (const other of [
      ` ${text}`,
      `${text}\n`,
      text.replace('"v":1', '"v":1.0'),
      text.replace('broker', '\\u0062roker'),
    ]) {
      expect(found([other, ...texts.slice(1)])).toEqual([
        [0, 'not-canonical'],
        [1, 'broken-link'],
      ])
    }
  })

  test('that is too large is found, and the next is not blamed', () => {
    const huge = changed(texts[10]!, inData('pad', 'x'.repeat(65_535)))
    expect(found([...texts.slice(0, 10), huge])).toEqual([[10, 'too-large']])
  })

  test('that the store could not give as text is found, and the walk goes on', () => {
    const rows = texts.with(9, 'x') as Row[]
    rows[9] = { problem: 'malformed', detail: 'the row holds null, not text' }
    expect(verifyLedger(rows)).toMatchObject({
      findingCount: 1,
      firstFinding: { index: 9, kind: 'malformed' },
      size: 11,
    })
  })
})

describe('an attacker who chains all that follows again', () => {
  test.each([
    ['wallet', inData('wallet', `0x${'f'.repeat(40)}`), 5, ['wrong-wallet', 'wrong-subject']],
    ['kid', inData('kid', 'v1-1'), 5, ['key-unpublished']],
    ['exp', inData('exp', 2_000_000_000), 5, ['ttl-out-of-bounds']],
    ['mintId', inData('mintId', '01930000-0000-7000-8000-000000000000'), 5, ['no-session']],
    ['sub', inData('sub', 'agentkeys:agent:0x'), 5, ['wrong-subject']],
    ['an extra member', inData('note', 'x'), 5, ['wrong-shape']],
  ])('and changes %s is found by what the entries say', (_, change, at, kinds) => {
    const { findings } = verifyLedger(rechained(at, change))
    expect(findings.map(({ index, kind }) => [index, kind])).toEqual(kinds.map((kind) => [at, kind]))
  })

  test('and sets the time back is found', () => {
    const { firstFinding } = verifyLedger(
      rechained(5, (entry) => ({ ...entry, time: '2026-11-19T12:00:00.000Z' })),
    )
    expect(firstFinding).toMatchObject({ index: 5, kind: 'time-backwards' })
  })

  test('and changes what only the broker could know is found by the head one remembers, and by nothing else', () => {
    const rows = rechained(5, inData('aud', 'evil.example.com'))
    expect(verifyLedger(rows).ok).toBe(true)
    expect(found(rows)).toEqual([])
    const { firstFinding } = verifyLedger(rows, { size: 11, head: ledger.head })
    expect(firstFinding).toMatchObject({ index: 10, kind: 'other-head' })
  })
})

describe('the tail', () => {
  test('that was cut off is not found by the chain alone', () => {
    expect(verifyLedger(texts.slice(0, -2)).ok).toBe(true)
  })

  test('that was cut off is found by the size one remembers', () => {
    const { findings } = verifyLedger(texts.slice(0, -2), { size: 11, head: ledger.head })
    expect(findings.map(({ index, kind }) => [index, kind])).toEqual([[9, 'cut-off']])
  })

  test('that grew since is fine', () => {
    expect(verifyLedger(texts, { size: 5, head: ledger.entries[4]!.leafHash }).ok).toBe(true)
    expect(verifyLedger(texts, { size: 5 }).ok).toBe(true)
  })

  test('that grew from another history is found at the head one remembers', () => {
    const { firstFinding } = verifyLedger(texts, { size: 5, head: ledger.head })
    expect(firstFinding).toMatchObject({ index: 4, kind: 'other-head' })
  })
})

test('a flood of one kind hides no other, and takes no memory', () => {
  const rows = [...texts, ...Array.from({ length: 5_000 }, () => 'junk'), '{}', texts[10]!]
  const verdict = verifyLedger(rows)
  expect(verdict.findingsByKind).toMatchObject({ malformed: 5_001, 'wrong-index': 1 })
  expect(verdict.findings.length).toBeLessThan(1_020)
  expect(verdict.findings.map(({ kind }) => kind)).toContain('wrong-index')
})

describe('for every ledger', () => {
  const sizes = fc.record({ size: fc.integer({ min: 2, max: 60 }), seed: fc.integer({ min: 1, max: 1_000 }) })
  const textsOf = ({ size, seed }: { size: number; seed: number }): string[] =>
    [...ledgerOf(size, seed)].flat().map(({ text }) => text)

  test('what we chain verifies', () => {
    fc.assert(
      fc.property(sizes, (of) =>
        expect(verifyLedger(textsOf(of))).toMatchObject({ ok: true, size: of.size }),
      ),
    )
  })

  test('an entry that is inserted is found: one of its own, one of another ledger, one chained onto its neighbour', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), (of, n, m) => {
        const rows = textsOf(of)
        const foreign = textsOf({ ...of, seed: of.seed + 1 })
        const at = n % rows.length
        const twin = rows[m % rows.length]!
        const event = {
          type: 'BrokerStarted',
          data: { node: 'n', version: '1', configSha256: '0'.repeat(64) },
        } as const
        const chained = chain(parseEntry(rows[at]!), event, new Date(0)).text
        expect(verifyLedger(rows.toSpliced(at, 0, twin)).ok).toBe(false)
        expect(verifyLedger(rows.toSpliced(at, 0, foreign[m % rows.length]!)).ok).toBe(false)
        // Behind the last one it is no insertion: that is how a ledger grows.
        expect(verifyLedger(rows.toSpliced(at + 1, 0, chained)).ok).toBe(at === rows.length - 1)
      }),
    )
  })

  test('an entry that is dropped, edited or moved is found, unless it is the last to be dropped', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (of, n) => {
        const rows = textsOf(of)
        const at = n % (rows.length - 1)
        const edited = changed(rows[at]!, (entry) => ({
          ...entry,
          data: { ...(entry.data as Entry['data']), software: 'x' },
        }))
        expect(verifyLedger(rows.toSpliced(at, 1)).ok).toBe(false)
        expect(verifyLedger(rows.with(at, edited)).ok).toBe(false)
        expect(verifyLedger(rows.with(at, rows[at + 1]!).with(at + 1, rows[at]!)).ok).toBe(false)
      }),
    )
  })
})
