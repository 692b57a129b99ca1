// Grants as an operator and a wallet have them: created, passed on, used up, revoked, and no one else's business.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'
const AUDIENCE = 'sts.amazonaws.com'
const NO_GRANT = { status: 403, body: { reason: 'no-grant' } }
const NO_SUCH = { status: 404, body: { reason: 'no-such-grant' } }

let broker: BrokerProcess
let operator: string
beforeAll(async () => {
  broker = await BrokerProcess.start({
    env: { BROKER_GRANTS: 'required', BROKER_ALLOWED_AUDIENCES: 'api.example.com' },
  })
  operator = readFileSync(join(broker.dataDir, 'operator-token'), 'utf8').trim()
})
afterAll(() => broker.dispose())

const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600

interface Created {
  grant_id: string
  reason?: string
}

const create = (bearer: string, wallet: string, more: object = {}) =>
  broker.post<Created>('/v1/grant/create', bearer, {
    ...{ wallet, actions: ['oidc_jwt'], resources: [AUDIENCE], expires_at: inAnHour() },
    ...more,
  })
const revoke = (bearer: string, grant_id: string) =>
  broker.post<Created>('/v1/grant/revoke', bearer, { grant_id })
const list = async (bearer: string) =>
  (await broker.get<{ grants: { grant_id: string; used_count: number }[] }>('/v1/grant/list', bearer)).body
    .grants

test('no grant means no; a grant of two uses is two mints; a revoked one none', async () => {
  const { session, wallet } = await broker.session('alice')
  expect(await broker.post(JWT, session)).toMatchObject(NO_GRANT)
  const { body } = await create(operator, wallet.toUpperCase().replace('0X', '0x'), { max_uses: 2 })
  const statuses = await Promise.all([1, 2, 3, 4].map(async () => (await broker.post(JWT, session)).status))
  expect(statuses.sort()).toEqual([200, 200, 403, 403])
  const other = await create(operator, wallet)
  expect(await broker.post(JWT, session, { audience: 'api.example.com' })).toMatchObject(NO_GRANT)
  expect(await broker.post(JWT, session)).toMatchObject({ status: 200 })
  expect(await revoke(operator, other.body.grant_id)).toMatchObject({ status: 200 })
  expect(await broker.post(JWT, session)).toMatchObject(NO_GRANT)
  const ledger = await verifiedLedger(broker.dataDir)
  expect(ledger.of('GrantUsed').filter(({ data }) => data.grantId === body.grant_id)).toHaveLength(2)
  expect(ledger.of('MintRefused').every(({ data }) => data.reason === 'no-grant')).toBe(true)
})

test('a wallet passes on what it holds, and makes nothing of its own', async () => {
  const [parent, child] = [await broker.session('bob'), await broker.session('carol')]
  expect(await create(parent.session, child.wallet)).toMatchObject(NO_GRANT)
  expect(await create(parent.session, parent.wallet)).toMatchObject(NO_GRANT)
  await create(operator, parent.wallet, { max_uses: 1 })
  expect(await create(parent.session, child.wallet, { resources: ['api.example.com'] })).toMatchObject(
    NO_GRANT,
  )
  expect(await create(parent.session, child.wallet, { expires_at: inAnHour() + 60 })).toMatchObject(NO_GRANT)
  const soon = { expires_at: inAnHour() - 60 }
  expect(await create(parent.session, child.wallet, soon)).toMatchObject({ status: 200 })
  expect(await broker.post(JWT, child.session)).toMatchObject({ status: 200 })
  expect(await broker.post(JWT, parent.session)).toMatchObject(NO_GRANT)
})

test('a grant of another wallet is not there, and neither is one that never was', async () => {
  const [mine, other] = [await broker.session('dave'), await broker.session('erin')]
  const { body } = await create(operator, mine.wallet)
  for (const id of [body.grant_id, `grn-${'0'.repeat(8)}-0000-7000-8000-000000000000`])
    expect(await revoke(other.session, id)).toMatchObject(NO_SUCH)
  await broker.stop()
  broker = await broker.restart()
  expect((await list(mine.session)).map(({ grant_id }) => grant_id)).toEqual([body.grant_id])
  expect(await list(other.session)).toEqual([])
  expect((await list(operator)).length).toBeGreaterThan(1)
  expect(await broker.post(JWT, mine.session)).toMatchObject({ status: 200 })
  expect(await revoke(mine.session, body.grant_id)).toMatchObject({ status: 200 })
  expect(await revoke(mine.session, body.grant_id)).toMatchObject(NO_SUCH)
  await verifiedLedger(broker.dataDir)
})
