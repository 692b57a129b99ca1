// The read models are made of the ledger and of nothing else: made again from entry 0, they have the same rows.

import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { openLog } from '../../src/logging.js'
import { LedgerSignatures } from '../../src/domain/ledger/ledger-signature.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import { Projector } from '../../src/projections/projector.js'
import { KeysView } from '../../src/projections/signing-keys.js'
import type { LocalAws } from '../../tools/local-aws/server.js'
import { startAwsBroker } from '../support/aws-broker.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { Received } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'

/** Requests of a mixed load, and those of them that have no session. */
const ASKED = 80
const NOBODYS = Math.ceil(ASKED / 13)

describe.each(LEDGERS)('the ledger in $ledger', ({ openHome }) => {
  let aws: LocalAws
  let broker: BrokerProcess
  let home: LedgerHome
  const received = new Received()

  beforeAll(async () => {
    home = await openHome()
    ;({ aws, broker } = await startAwsBroker({ env: home.env }))
  })
  afterAll(async () => {
    await broker.dispose()
    await aws.close()
    await home.dispose()
  })

  /** Mints of every kind and outcome, many at once. */
  async function mixedLoad(): Promise<void> {
    const sessions = await Promise.all(Array.from({ length: 4 }, (_, i) => broker.session(`user ${i}`)))
    aws.failNext({ kind: 'error', code: 'AccessDenied' }, { times: 3, action: 'AssumeRoleWithWebIdentity' })
    const asks: [string, object?][] = [
      ['/v1/mint-oidc-jwt'],
      ['/v1/mint-aws-creds'],
      ['/v1/mint-oidc-jwt', { audience: 'somewhere.else' }],
      ['/v1/mint-aws-creds', { duration_seconds: 43_200 }],
    ]
    const replies = Array.from({ length: ASKED }, (_, i) => {
      const [path, body] = asks[i % asks.length] ?? ['/']
      const bearer = i % 13 === 0 ? 'nobody' : sessions[i % 3]?.session
      return broker.post<object>(path, bearer, body)
    })
    for (const reply of await Promise.all(replies)) received.note(reply)
  }

  type Tables = Record<string, unknown[]>

  /** Every row of every table, in an order that does not depend on how it came about. */
  function tablesOf(path: string): Tables {
    const db = new Sqlite(path, { readonly: true })
    const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[]
    const rows = (name: string) =>
      (db.prepare(`SELECT * FROM "${name}"`).raw().all() as unknown[][])
        .map((row) => JSON.stringify(row))
        .sort()
    const tables = Object.fromEntries(names.map((name) => [name, rows(name)]))
    db.close()
    return tables
  }

  async function madeFromEntry0(path: string): Promise<Tables> {
    const store = home.open(broker.dataDir)
    const { vkey } = JSON.parse(readFileSync(join(broker.dataDir, 'ledger-key.json'), 'utf8')) as {
      vkey: string
    }
    const ledgerKey = parseVkey(vkey)
    const projector = new Projector(store, new KeysView(() => new Date(), new LedgerSignatures(ledgerKey)), {
      readModelPath: path,
      trust: { ledgerKey },
      log: openLog('silent'),
    })
    await projector.start()
    await projector.caughtUpTo(await store.size())
    await projector.stop()
    await store.close()
    return tablesOf(path)
  }

  async function audited(): Promise<unknown> {
    const token = readFileSync(join(broker.dataDir, 'auditor-token'), 'utf8').trim()
    const { body } = await broker.get<{ mints: unknown[] }>('/v1/audit/mints?limit=100', token)
    return body.mints
  }

  test('after a mixed load the rebuilt read models equal the live ones, table by table, row by row', async () => {
    await mixedLoad()
    expect(await broker.stop()).toBe(0)
    // The last entry of a stop may come too late for the read models: the next start takes it over before it is ready.
    broker = await broker.restart()
    expect(await broker.stop()).toBe(0)
    const live = tablesOf(join(broker.dataDir, 'audit.sqlite'))
    expect(live['mints']?.length).toBeGreaterThan(50)
    // In one row for each minute that it took.
    const counts = (live['refusals'] as string[]).map(
      (row) => (JSON.parse(row) as unknown[]).at(-1) as number,
    )
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(NOBODYS)
    // The active one and the next.
    expect(live['signing_keys']).toHaveLength(2)

    const rebuilt = await madeFromEntry0(join(broker.dataDir, 'rebuilt.sqlite'))
    expect(Object.keys(rebuilt).sort()).toEqual(Object.keys(live).sort())
    for (const [name, rows] of Object.entries(live)) expect([name, rebuilt[name]]).toEqual([name, rows])
    expect(received.unexplainedBy(await verifiedLedger(home.folder(broker.dataDir)))).toEqual([])
  })

  test('a broker whose read model was deleted makes it again by itself, and goes on from it', async () => {
    broker = await broker.restart()
    const before = await audited()
    expect(await broker.stop()).toBe(0)
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(broker.dataDir, `audit.sqlite${suffix}`), { force: true })

    broker = await broker.restart()
    expect(await audited()).toEqual(before)
    await mixedLoad()
    expect(await broker.stop()).toBe(0)
    // The last entry of a stop may come too late for the read models: the next start takes it over before it is ready.
    broker = await broker.restart()
    expect(await broker.stop()).toBe(0)
    const live = tablesOf(join(broker.dataDir, 'audit.sqlite'))
    expect(await madeFromEntry0(join(broker.dataDir, 'rebuilt-again.sqlite'))).toEqual(live)
    expect(received.unexplainedBy(await verifiedLedger(home.folder(broker.dataDir)))).toEqual([])
  })
})
