// Somebody with the operator's rights rewrites a real broker's ledger. What verify-ledger says of it, entry by entry.

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { canonicalize, type Json } from '../../src/domain/ledger/canonical.js'
import { leafHash } from '../../src/domain/ledger/entry.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import { verifyLedger } from '../../src/domain/ledger/verify.js'
import { startAwsBroker } from '../support/aws-broker.js'
import { Received } from '../support/received.js'
import { ledgerPath, type Remembered, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

/** A SessionValidated in the middle of the ledger; its JwtIssued follows. */
const AT = 6
let folder: string
let texts: string[]
let remembered: Remembered & { expected: { size: number; head: string } }

beforeAll(async () => {
  const { aws, broker } = await startAwsBroker()
  const received = new Received()
  const { session } = await broker.session()
  for (const path of ['jwt', 'creds', 'jwt', 'creds'].map((kind) => PATHS[kind as keyof typeof PATHS])) {
    received.note(await broker.post(path, session))
  }
  expect(await broker.stop()).toBe(0)
  await aws.close()
  const ledger = await verifiedLedger(broker.dataDir)
  expect(received.unexplainedBy(ledger)).toEqual([])
  expect(ledger.types.slice(AT, AT + 2)).toEqual(['SessionValidated', 'JwtIssued'])

  folder = mkdtempSync(join(tmpdir(), 'tampered-'))
  cpSync(ledgerPath(broker.dataDir), ledgerPath(folder))
  const file = new Sqlite(ledgerPath(folder))
  texts = file.prepare('SELECT entry FROM ledger ORDER BY idx').pluck().all() as string[]
  file.close()
  remembered = {
    expected: { size: texts.length, head: leafHash(texts.at(-1) ?? '') },
    checkpoint: parseSignedCheckpoint(readFileSync(join(broker.dataDir, 'last-checkpoint'))),
    vkey: parseVkey((ledger.of('LedgerOpened')[0] as { data: { vkey: string } }).data.vkey),
  }
  await broker.dispose()
}, 90_000)
afterAll(() => rmSync(folder, { recursive: true }))

const PATHS = { jwt: '/v1/mint-oidc-jwt', creds: '/v1/mint-aws-creds' } as const

type Tampering = (texts: string[]) => string[]

/** The verdict on a file with these entries instead: the broker's own file, its triggers dropped. */
async function found(tampering: Tampering, by: Remembered = {}): Promise<[number, string][]> {
  const path = join(folder, 'tampered.sqlite')
  cpSync(ledgerPath(folder), path)
  const file = new Sqlite(path)
  file.exec('DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete; DELETE FROM ledger')
  const insert = file.prepare('INSERT INTO ledger VALUES (?, ?)')
  tampering([...texts]).forEach((text, index) => insert.run(index, text))
  file.pragma('journal_mode = DELETE')
  file.close()
  const { findings, ok } = await verdictOn(path, by)
  rmSync(path)
  expect(ok).toBe(findings.length === 0)
  return findings.map(({ index, kind }) => [index, kind])
}

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

test('untouched, nothing is found, with whatever is remembered', async () => {
  expect(await found((entries) => entries, remembered)).toEqual([])
})

describe('a byte is changed in a member of an entry', () => {
  test.each<[string, Tampering, [number, string]]>([
    ['data, and its form is lost', replaced(AT, /"wallet":"0x./, '"wallet":"0xg'), [AT, 'wrong-shape']],
    ['data, to another good value: only the next entry tells', otherDigit, [AT + 1, 'broken-link']],
    ['index', replaced(AT, '"index":6', '"index":7'), [AT, 'wrong-index']],
    ['prev', replaced(AT, /"prev":"../, '"prev":"gg'), [AT, 'malformed']],
    ['time', replaced(AT, /"time":"20/, '"time":"19'), [AT, 'time-backwards']],
    ['type', replaced(AT, '"SessionValidated"', '"SessionValidatec"'), [AT, 'unknown-type']],
    ['v', replaced(AT, '"v":1', '"v":2'), [AT, 'malformed']],
    ['a space that JSON does not mind', replaced(AT, '"v":1', '"v": 1'), [AT, 'not-canonical']],
  ])('%s', async (_member, tampering, finding) => {
    const findings = await found(tampering)
    expect(findings[0]).toEqual(finding)
    // Unless the entry is unreadable, the one after it also tells.
    expect(findings).toContainEqual([AT + 1, 'broken-link'])
  })

  test('whichever byte it is, something is found', () => {
    for (const [index, text] of texts.entries()) {
      for (let at = 0; at < text.length; at += 1) {
        const flipped = text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1)
        const { ok } = verifyLedger(texts.with(index, flipped))
        // Nothing follows the last entry: whether it was changed within its form, only a remembered head can tell.
        if (ok) expect(index).toBe(texts.length - 1)
        expect(verifyLedger(texts.with(index, flipped), remembered.expected).ok).toBe(false)
      }
    }
  }, 60_000)
})

describe('whole entries are moved', () => {
  test.each<[string, Tampering, [number, string]]>([
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

describe('one field is changed and every later entry chained anew', () => {
  test('what cannot have happened is found without any memory: a JWT for another wallet than its session’s', async () => {
    const other = `0x${'0'.repeat(40)}`
    const findings = await found(rechained(AT + 1, (data) => ({ ...data, wallet: other })))
    expect(findings[0]).toEqual([AT + 1, 'wrong-wallet'])
  })

  test('what could have happened is found only with an older head', async () => {
    expect(await found(otherToken)).toEqual([])
    expect(await found(otherToken, { expected: remembered.expected })).toEqual([
      [texts.length - 1, 'other-head'],
    ])
  })

  test('what could have happened is found only with an older checkpoint', async () => {
    const { checkpoint, vkey } = remembered
    expect((await found(otherToken, { checkpoint, vkey })).map(([, kind]) => kind)).toEqual(['other-head'])
  })
})

describe('the tail is cut off', () => {
  test('what is left is a valid ledger: found only with an older size', async () => {
    expect(await found(cut)).toEqual([])
    expect(await found(cut, { expected: remembered.expected })).toEqual([[texts.length - 2, 'cut-off']])
  })

  test('what is left is a valid ledger: found only with an older checkpoint', async () => {
    const { checkpoint, vkey } = remembered
    expect((await found(cut, { checkpoint, vkey })).map(([, kind]) => kind)).toEqual(['cut-off'])
  })
})
