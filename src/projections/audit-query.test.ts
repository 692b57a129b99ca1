import { SIGNATURES, signed, SIGNER } from '../../test/support/ledger-signer.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { ledgerOf } from '../../test/support/ledger-builder.js'
import { type Sealed } from '../domain/ledger/entry.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { AuditQuery, type MintFilter, mintsSql } from './audit-query.js'
import { type MintRow } from './mints.js'
import { Projector } from './projector.js'
import { KeysView } from './signing-keys.js'

const ENTRIES: readonly Sealed[] = [...ledgerOf(1_500)].flat()
const SHOWN = 1_200

const folder = mkdtempSync(join(tmpdir(), 'audit-'))
const path = join(folder, 'audit.sqlite')
const audit = new AuditQuery(path)
let all: MintRow[]

beforeAll(async () => {
  const { projector } = await projected(path)
  await projector.stop()
  const db = new Sqlite(path, { readonly: true })
  all = db.prepare<[], MintRow>('SELECT * FROM mints ORDER BY first_index DESC').all()
  db.close()
})
afterAll(() => {
  audit.close()
  rmSync(folder, { recursive: true })
})

/** A read model of the first SHOWN entries at `readModelPath`, followed by a projector that somebody must stop. */
async function projected(readModelPath: string): Promise<{ store: MemoryEventStore; projector: Projector }> {
  const store = new MemoryEventStore()
  await store.append(signed(ENTRIES.slice(0, SHOWN)), 0)
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const projector = new Projector(store, new KeysView(() => new Date(), SIGNATURES), {
    readModelPath,
    trust: { ledgerKey: SIGNER.key },
    log,
  })
  await projector.start()
  await projector.caughtUpTo(SHOWN)
  return { store, projector }
}

const idOf = (row: MintRow): string => row.mint_id

/** What the filter means, said without SQL. */
function holds(row: MintRow, filter: MintFilter): boolean {
  const { wallet, kind, outcome, mintId, accessKeyId, since, until } = filter
  return (
    (wallet ?? row.wallet) === row.wallet &&
    (kind ?? row.kind) === row.kind &&
    (outcome ?? row.outcome) === row.outcome &&
    (mintId ?? row.mint_id) === row.mint_id &&
    (accessKeyId ?? row.access_key_id) === row.access_key_id &&
    (since === undefined || new Date(row.first_seen_at) >= since) &&
    (until === undefined || new Date(row.first_seen_at) < until)
  )
}

/** Every combination of having and not having each filter, with values that some row has. */
function filters(): MintFilter[] {
  const row = all.find(({ access_key_id }) => access_key_id !== null) as MintRow
  const choices = {
    wallet: [undefined, row.wallet],
    kind: [undefined, 'oidc_jwt', 'aws_creds'],
    outcome: [undefined, 'ok', 'refused', 'sts_error', 'pending'],
    mintId: [undefined, row.mint_id],
    accessKeyId: [undefined, row.access_key_id],
    since: [undefined, new Date(all[300]?.first_seen_at as string)],
    until: [undefined, new Date(all[5]?.first_seen_at as string)],
  }
  return Object.entries(choices).reduce<MintFilter[]>(
    (made, [name, values]) => made.flatMap((filter) => values.map((value) => ({ ...filter, [name]: value }))),
    [{}],
  )
}

describe('every combination of filters', () => {
  test('gives exactly the mints it describes, newest first', () => {
    for (const filter of filters()) {
      const { mints, nextCursor, sizeSeen } = audit.mints(filter, { limit: 1000 })
      const expected = all.filter((row) => holds(row, filter))
      expect({ filter, ids: mints.map(idOf) }).toEqual({ filter, ids: expected.map(idOf) })
      expect([nextCursor, sizeSeen]).toEqual([null, SHOWN])
    }
  })

  test('walks an index from its newest end: no table is scanned and nothing is sorted', () => {
    const db = new Sqlite(path, { readonly: true })
    const bound = { wallet: '', mintId: '', accessKeyId: '', low: 0, high: 1, limit: 1 }
    const plans = new Set(filters().map(mintsSql))
    for (const sql of plans) {
      const plan = db.prepare<[object], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(bound)
      const details = plan.map(({ detail }) => detail)
      // The one sort there may be is of the few rows that have an id.
      const oneRow = details.some((detail) => /mint_id=\?|access_key_id=\?/.test(detail))
      expect({
        sql,
        bad: details.filter((detail) => /^SCAN mints|TEMP B-TREE/.test(detail) && !oneRow),
      }).toEqual({
        sql,
        bad: [],
      })
      expect(details.some((detail) => /^SCAN mints/.test(detail))).toBe(false)
    }
    db.close()
    expect(plans.size).toBeGreaterThan(20)
  })
})

describe('pages', () => {
  function walk(filter: MintFilter, limit: number, between: () => void = () => undefined): MintRow[] {
    const rows: MintRow[] = []
    for (let cursor: string | undefined; ; between()) {
      const page = audit.mints(filter, { limit, cursor })
      rows.push(...page.mints)
      expect(page.mints.length).toBeLessThanOrEqual(limit)
      if (page.nextCursor === null) return rows
      cursor = page.nextCursor
    }
  }

  test('of any size give every mint once, in order', () => {
    for (const limit of [3, 100, all.length - 1, all.length, all.length + 1]) {
      expect(walk({}, limit)).toEqual(all)
    }
    const failed = { outcome: 'sts_error' } as const
    expect(walk(failed, 3)).toEqual(all.filter((row) => holds(row, failed)))
  })

  test('stay as they are while newer mints arrive', async () => {
    const growing = new AuditQuery(join(folder, 'growing.sqlite'))
    const { store, projector } = await projected(join(folder, 'growing.sqlite'))
    const first = growing.mints({}, { limit: 10 })
    await store.append(signed(ENTRIES.slice(SHOWN)), SHOWN)
    await projector.caughtUpTo(ENTRIES.length)
    const second = growing.mints({}, { limit: 1000, cursor: first.nextCursor ?? '' })
    const newest = growing.mints({}, { limit: 1 })
    growing.close()
    await projector.stop()

    // A mint under way may have got its outcome meanwhile; its place has not changed.
    expect([...first.mints, ...second.mints].map(idOf)).toEqual(all.map(idOf))
    expect(second.sizeSeen).toBe(ENTRIES.length)
    expect(newest.mints[0]?.first_index).toBeGreaterThan(SHOWN)
  })

  test.each(['', 'x', 'bWludHMgYmVmb3JlIDEy=', 'bWludHMgYmVmb3JlIC0x', 'bWludHMgYmVmb3JlIDAxMg', '%00'])(
    'do not begin at %j, which is no cursor',
    (cursor) => {
      expect(() => audit.mints({}, { limit: 10, cursor })).toThrow('cursor must be a next_cursor of this API')
    },
  )
})

test('a mint is found by its jti, with the entries to prove', () => {
  const row = all.find((row) => row.creds_minted_index !== null && row.jwt_issued_index !== null) as MintRow
  expect(audit.byJti(row.mint_id)).toEqual(row)
  const proved = [row.jwt_issued_index, row.creds_minted_index].map((index) => ENTRIES[index ?? -1]?.entry)
  expect(proved.map((entry) => entry?.data['mintId'])).toEqual([row.mint_id, row.mint_id])
  expect(audit.byJti('00000000-0000-7000-8000-000000000000')).toBeUndefined()
})
