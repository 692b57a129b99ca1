// Syncs that fail, then a power cut: what was released is in the ledger that the disk holds.

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { DiskImage } from '../support/disk-image.js'
import { type MintReply, Received } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let disk: DiskImage
let broker: BrokerProcess
let received: Received

beforeEach(async () => {
  received = new Received()
  disk = new DiskImage()
  const env = { ...disk.env, BROKER_OIDC_ISSUER: 'https://broker.example.com' }
  broker = await BrokerProcess.start({ dataDir: disk.path, env })
})
afterEach(async () => {
  await broker.stop('SIGKILL')
  disk.remove()
})

async function mint(bearer: string): Promise<number> {
  const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', bearer)
  received.note(reply)
  return reply.status
}

const mints = (count: number, bearer: string) =>
  Promise.all(Array.from({ length: count }, () => mint(bearer)))

async function cutPower(): Promise<void> {
  await broker.stop('SIGKILL')
  expect(disk.has('ledger.sqlite')).toBe(true)
  disk.cutPower()
}

test('a power cut takes nothing that was released', async () => {
  const { session } = await broker.session()
  expect(await mints(20, session)).toEqual(Array<number>(20).fill(200))
  await cutPower()
  expect(received.unexplainedBy(await verifiedLedger(disk.path))).toEqual([])
  broker = await broker.restart()
  expect(await mint(session)).toBe(200)
})

test('while syncs of the ledger fail nothing is released; what was in doubt is settled by writing it again', async () => {
  const { session } = await broker.session()
  expect(await mint(session)).toBe(200)

  disk.failSyncs('ledger.sqlite')
  expect(await mints(50, session)).toEqual(Array<number>(50).fill(503))
  const { status, body } = await broker.get<{ ledger_ok: boolean; problems: string[] }>('/readyz')
  expect([status, body.ledger_ok]).toEqual([503, false])
  expect(body.problems.join()).toMatch(/ledger\.sqlite.*(?:I\/O error|EIO)/)
  expect(broker.log.match(/"level":"error"[^\n]*ledger\.sqlite/g)).toHaveLength(1)

  disk.heal()
  await broker.becomesReady()
  expect(await mints(20, session)).toEqual(Array<number>(20).fill(200))
  await cutPower()
  expect(received.unexplainedBy(await verifiedLedger(disk.path))).toEqual([])
  broker = await broker.restart()
  expect(await mint(session)).toBe(200)
})

test('a revocation is answered only when it is synced, and outlives a power cut', async () => {
  const { session } = await broker.session()
  const revoke = async () => {
    const { status } = await fetch(`${broker.sessionUrl}/session/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${session}`, 'content-type': 'application/json' },
      body: JSON.stringify({ target_session: revoked }),
    })
    return status
  }
  const { session: revoked } = await broker.session()
  disk.failSyncs('sessions.sqlite')
  expect(await revoke()).toBeGreaterThanOrEqual(500)
  expect(await revoke()).toBeGreaterThanOrEqual(500)
  disk.heal()
  expect(await revoke()).toBe(200)
  await cutPower()
  broker = await broker.restart()
  expect(await mint(revoked)).toBe(401)
  expect(await mint(session)).toBe(200)
  await broker.stop('SIGKILL')
  expect(received.unexplainedBy(await verifiedLedger(disk.path))).toEqual([])
})

test('a broker that starts on what an earlier one could not sync makes it durable first', async () => {
  const { session } = await broker.session()
  expect(await mint(session)).toBe(200)
  disk.failSyncs('ledger.sqlite')
  const underWay = mint(session).catch(() => 'cut off')
  await until(
    () => Promise.resolve(broker.log.includes('ledger.sqlite: ')),
    () => `the failed sync is not reported:\n${broker.log}`,
  )
  await broker.stop('SIGKILL')
  await underWay
  const { entries } = await verifiedLedger(disk.path)

  disk.heal()
  broker = await broker.restart()
  expect(await mints(5, session)).toEqual(Array<number>(5).fill(200))
  await cutPower()
  const ledger = await verifiedLedger(disk.path)
  expect(ledger.entries.slice(0, entries.length)).toEqual(entries)
  expect(received.unexplainedBy(ledger)).toEqual([])
})
