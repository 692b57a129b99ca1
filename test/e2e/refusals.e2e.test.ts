// Requests without a valid session: an attacker's to send, so they must not fill the ledger, and must not vanish either.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'
import { join } from 'node:path'

import { BrokerProcess } from '../support/broker-process.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { type SessionBackendServer, startSessionBackendServer } from '../support/session-backend-server.js'
import { entriesDuring, entriesOf, expectVerified } from '../support/audited-ledger.js'

describe.each(LEDGERS)('the ledger in $ledger', ({ openHome }) => {
  let backend: SessionBackendServer
  let broker: BrokerProcess
  let home: LedgerHome
  const ledger = () => home.folder(broker.dataDir)

  let startedAt: number

  beforeAll(async () => {
    startedAt = performance.now()
    home = await openHome()
    backend = await startSessionBackendServer()
    broker = await BrokerProcess.start({ env: { ...home.env, BROKER_BACKEND_URL: backend.url } })
  })

  afterAll(async () => {
    await broker.dispose()
    await backend.close()
    await home.dispose()
  })

  test('a flood of bad bearers leaves no entry, until one that counts them, at shutdown at the latest', async () => {
    backend.answers.set('broken', { kind: 'reply', status: 500 })
    backend.answers.set('good', { kind: 'session', wallet: `0x${'ab'.repeat(20)}` })
    const paths = ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']
    const during = await entriesDuring(ledger, async () => {
      for (let round = 0; round < 10; round += 1) {
        const bearers = Array.from({ length: 20 }, (_, n) => `bad-${round}-${n}`)
        const replies = await Promise.all(bearers.map((bearer, n) => broker.post(paths[n % 2] ?? '', bearer)))
        expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([401]))
      }
      for (let n = 0; n < 5; n += 1) expect((await broker.post(paths[0] ?? '', 'broken')).status).toBe(502)
      for (let n = 0; n < 5; n += 1) expect((await broker.post(paths[0] ?? '', undefined)).status).toBe(401)
    })
    // What was counted is there for each minute that ended while we asked, and nothing else.
    expect(during.filter(({ type }) => type !== 'RefusalsCounted')).toEqual([])
    expect((await broker.post(paths[0] ?? '', 'good')).status).toBe(200)

    expect(await broker.stop()).toBe(0)
    const counted = entriesOf(ledger()).filter(({ type }) => type === 'RefusalsCounted')
    expect(counted.length).toBeGreaterThan(0)
    expect(counted.length).toBeLessThanOrEqual(1 + (performance.now() - startedAt) / 60_000)
    const counts = counted.map(({ data }) => data['counts'] as Record<string, number>)
    const sum = (reason: string) => counts.reduce((total, one) => total + (one[reason] ?? 0), 0)
    expect([sum('unauthorized'), sum('backend-unreachable'), sum('missing-authorization')]).toEqual([
      200, 5, 5,
    ])
    await expectVerified(ledger())

    // The read model has it after the next start, which counts nothing again.
    broker = await broker.restart()
    const db = new Sqlite(join(broker.dataDir, 'audit.sqlite'), { readonly: true })
    const rows = db
      .prepare('SELECT reason, sum(count) AS count FROM refusals GROUP BY reason ORDER BY reason')
      .all()
    db.close()
    expect(rows).toEqual([
      { reason: 'backend-unreachable', count: 5 },
      { reason: 'missing-authorization', count: 5 },
      { reason: 'unauthorized', count: 200 },
    ])
    await broker.stop()
    expect(entriesOf(ledger()).filter(({ type }) => type === 'RefusalsCounted')).toEqual(counted)
    await expectVerified(ledger())
  })
})
