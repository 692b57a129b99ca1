// An agent that retries under an Idempotency-Key has one mint, one credential and one receipt.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import type { CredsReply, JwtReply } from '../support/received.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'
const CREDS = '/v1/mint-aws-creds'

let world: BrokerWithAws
beforeAll(async () => {
  world = await startBrokerWithAws()
})
afterAll(() => world.dispose())

interface Answer {
  status: number
  replayed: string | null
  body: Partial<JwtReply & CredsReply> & { reason?: string }
}

async function mint(path: string, bearer: string, key: string, ask: object = {}): Promise<Answer> {
  const response = await fetch(world.broker.url + path, {
    method: 'POST',
    headers: {
      ...{ authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      'idempotency-key': key,
    },
    body: JSON.stringify(ask),
  })
  const replayed = response.headers.get('idempotency-replayed')
  return { status: response.status, replayed, body: (await response.json()) as Answer['body'] }
}

const mintsOf = async (wallet: string) => {
  const ledger = await verifiedLedger(world.broker.dataDir)
  return ledger.of('SessionValidated').filter(({ data }) => data.wallet === wallet).length
}

async function revoke(bearer: string, session: string): Promise<void> {
  const response = await fetch(`${world.broker.sessionUrl}/session/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({ target_session: session }),
  })
  expect(response.status).toBe(200)
}

test.each([JWT, CREDS])('%s: retries, also at once, are one mint with one receipt', async (path) => {
  const { session, wallet } = await world.broker.session(`retries ${path}`)
  const before = world.aws.calls.length
  const atOnce = await Promise.all([1, 2, 3].map(() => mint(path, session, 'key-1')))
  const later = await mint(path, session, 'key-1')
  expect(atOnce.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(atOnce.filter(({ replayed }) => replayed === null)).toHaveLength(1)
  expect(later).toMatchObject({ status: 200, replayed: 'true' })
  for (const { body } of atOnce) expect(body).toEqual(later.body)
  expect(world.aws.calls.length - before).toBe(path === CREDS ? 1 : 0)
  expect(await mintsOf(wallet)).toBe(1)

  expect(await mint(path, session, 'key-1', { role: 'x' })).toMatchObject({ status: 403 })
  const shorter = path === JWT ? { ttl_seconds: 60 } : { duration_seconds: 900 }
  expect(await mint(path, session, 'key-1', shorter)).toMatchObject({
    ...{ status: 422, body: { reason: 'idempotency-key-reused' } },
  })
  const other = await world.broker.session(`another ${path}`)
  const ofOther = await mint(path, other.session, 'key-1')
  expect(ofOther).toMatchObject({ status: 200, replayed: null, body: { wallet: other.wallet } })
})

test('a session that was revoked or cut off gets nothing again', async () => {
  const [first, second] = [await world.broker.session('carol'), await world.broker.session('carol')]
  expect(await mint(JWT, first.session, 'k')).toMatchObject({ status: 200 })
  expect(await mint(JWT, second.session, 'k')).toMatchObject({ status: 200, replayed: null })
  await revoke(second.session, first.session)
  expect(await mint(JWT, first.session, 'k')).toMatchObject({ status: 401 })

  const { body } = await mint(JWT, second.session, 'k')
  const operator = readFileSync(join(world.broker.dataDir, 'operator-token'), 'utf8').trim()
  const target = { kind: 'mint', target: body.jti }
  expect(await world.broker.post('/v1/cut-off', operator, target)).toMatchObject({ status: 200 })
  expect(await mint(JWT, second.session, 'k')).toMatchObject({ status: 403, body: { reason: 'cut-off' } })
})

test('the key of a failure after the entry does not mint again; one without an entry does', async () => {
  const { session, wallet } = await world.broker.session('dave')
  world.aws.failNext({ kind: 'error', code: 'AccessDenied' })
  for (const _ of [1, 2])
    expect(await mint(CREDS, session, 'k')).toMatchObject({ status: 502, body: { reason: 'access-denied' } })
  expect(await mintsOf(wallet)).toBe(1)

  expect(await mint(CREDS, session, 'k2', { role: 'x' })).toMatchObject({ status: 403 })
  expect(await mint(CREDS, session, 'k2')).toMatchObject({ status: 200 })
})

test.each(['', 'two words', 'x'.repeat(256)])('a key %j is refused', async (key) => {
  const { session } = await world.broker.session('erin')
  const refused = { status: 400, body: { reason: 'invalid-idempotency-key' } }
  expect(await mint(JWT, session, key)).toMatchObject(refused)
})
