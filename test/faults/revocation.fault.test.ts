// A revocation counts from the very next request on: nothing in the broker remembers a session.

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { type MintReply, Received } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let broker: BrokerProcess
const received = new Received()

beforeAll(async () => {
  broker = await BrokerProcess.start()
})
afterAll(async () => {
  await broker.dispose()
})

async function mint(bearer: string): Promise<number> {
  const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', bearer)
  received.note(reply)
  return reply.status
}

async function ask<Body>(path: string, bearer: string, body: object): Promise<Body> {
  const response = await fetch(broker.sessionUrl + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(response.status).toBe(200)
  return (await response.json()) as Body
}

const revoke = (bearer: string, session: string) =>
  ask('/session/revoke', bearer, { target_session: session })
const childOf = (bearer: string) =>
  ask<{ session: string }>('/session/child', bearer, { scope: { services: ['aws'], read_only: false } })

test('a revoked session cannot mint with its very next request, and its owner’s others can', async () => {
  const [first, second] = [await broker.session('owner'), await broker.session('owner')]
  for (let turn = 0; turn < 20; turn += 1) expect(await mint(first.session)).toBe(200)
  const recorded = (await verifiedLedger(broker.dataDir)).of('JwtIssued').length

  await revoke(second.session, first.session)
  expect(await mint(first.session)).toBe(401)
  expect(await mint(second.session)).toBe(200)
  const ledger = await verifiedLedger(broker.dataDir)
  expect(ledger.of('JwtIssued')).toHaveLength(recorded + 1)
  expect(received.unexplainedBy(ledger)).toEqual([])
})

test('with a session its children end, and theirs', async () => {
  const parent = await broker.session('parent')
  const child = await childOf(parent.session)
  const grandchild = await childOf(child.session)
  for (const { session } of [parent, child, grandchild]) expect(await mint(session)).toBe(200)

  await revoke(parent.session, parent.session)
  for (const { session } of [parent, child, grandchild]) expect(await mint(session)).toBe(401)
  expect(received.unexplainedBy(await verifiedLedger(broker.dataDir))).toEqual([])
})

test('a revocation outlives a broker that is killed the moment it was confirmed', async () => {
  const { session } = await broker.session('somebody')
  expect(await mint(session)).toBe(200)
  await revoke(session, session)
  await broker.stop('SIGKILL')
  broker = await broker.restart()
  expect(await mint(session)).toBe(401)
  expect(received.unexplainedBy(await verifiedLedger(broker.dataDir))).toEqual([])
})

test('mints and a revocation race: nothing is recorded that a request after the revocation asked for', async () => {
  const [racing, other] = [await broker.session('racer'), await broker.session('racer')]
  const replies = Array.from({ length: 50 }, () => mint(racing.session))
  await revoke(other.session, racing.session)
  const after = await Promise.all(Array.from({ length: 10 }, () => mint(racing.session)))
  expect(after).toEqual(Array<number>(10).fill(401))
  const minted = (await Promise.all(replies)).filter((status) => status === 200).length

  const ledger = await verifiedLedger(broker.dataDir)
  expect(received.unexplainedBy(ledger)).toEqual([])
  const wallet = ledger.of('JwtIssued').filter(({ data }) => data.wallet === racing.wallet)
  expect(wallet).toHaveLength(minted)
})
