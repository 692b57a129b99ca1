// An operator's policy from its files to the ledger: a broker that decides by it, and what it says when it cannot.

import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { BrokerProcess } from '../support/broker-process.js'
import { type BrokerWithAws, OTHER_ROLE_ARN, startBrokerWithAws } from '../support/broker-with-aws.js'
import type { MintReply } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'
const CREDS = '/v1/mint-aws-creds'

const PERMIT = '@id("agents") permit (principal, action, resource);\n'
const NO_OTHER = `@id("not-other") @reason("ask the release team for this role")
forbid (principal, action, resource) when { context has role && context.role == Role::"${OTHER_ROLE_ARN}" };\n`
const NOTHING = '@id("closed") @reason("closed") forbid (principal, action, resource);\n'

let world: BrokerWithAws
let folder: string
beforeAll(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'policy-')), 'policy')
  write({ 'agents.cedar': PERMIT, 'roles.cedar': NO_OTHER })
  const env = {
    BROKER_POLICY: folder,
    BROKER_POLICY_TIMEZONE: 'Europe/Berlin',
    BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE_ARN,
  }
  world = await startBrokerWithAws({ env })
})
afterAll(async () => {
  await world.dispose()
  rmSync(join(folder, '..'), { recursive: true })
})

/** In one step, as an operator should. */
function write(files: Record<string, string>): void {
  const next = mkdtempSync(`${folder}-`)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(next, name), text)
  rmSync(folder, { recursive: true, force: true })
  renameSync(next, folder)
}

const mint = (session: string, path = JWT, ask: object = {}): Promise<MintReply> =>
  world.broker.post(path, session, ask)

async function reloaded(files: Record<string, string>, said: RegExp): Promise<void> {
  write(files)
  const before = world.broker.log.length
  world.broker.signal('SIGHUP')
  await until(() => said.test(world.broker.log.slice(before)))
}

test("a mint names the policy and the policies that decided, and a refusal the operator's reason", async () => {
  const { session, wallet } = await world.broker.session('alice')
  for (const path of [JWT, CREDS]) expect(await mint(session, path)).toMatchObject({ status: 200 })
  for (const path of [JWT, CREDS]) {
    expect(await mint(session, path, { role: OTHER_ROLE_ARN })).toMatchObject({
      status: 403,
      body: {
        error: 'forbidden',
        reason: 'policy-denied',
        message: 'forbidden: ask the release team for this role',
      },
    })
  }
  // The built-in bounds come first: a permit of everything widens nothing.
  expect(await mint(session, JWT, { role: `${DATA_ROLE_ARN}-admin` })).toMatchObject({
    body: { reason: 'role-not-allowed' },
  })
  const ledger = await verifiedLedger(world.broker.dataDir)
  const [loaded] = ledger.of('PolicyLoaded')
  expect(loaded?.data).toMatchObject({ policies: 2, timezone: 'Europe/Berlin' })
  const { sha256: policySha256 } = loaded!.data
  const allow = { wallet, policySha256, decision: 'allow', policies: ['agents'] }
  const deny = { ...allow, decision: 'deny', policies: ['not-other'] }
  const decided = ledger.of('PolicyDecided').map(({ data }) => data)
  expect(decided).toMatchObject([allow, allow, deny, deny])
  const refused = ledger.of('MintRefused').map(({ data }) => data.reason)
  expect(refused).toEqual(['policy-denied', 'policy-denied', 'role-not-allowed'])
})

test('SIGHUP loads it again; what cannot be loaded changes nothing, and readyz says so', async () => {
  const { session } = await world.broker.session('bob')
  await reloaded({ 'agents.cedar': PERMIT, 'closed.cedar': NOTHING }, /policy in force/)
  expect(await mint(session)).toMatchObject({ status: 403, body: { message: 'forbidden: closed' } })

  await reloaded({ 'agents.cedar': `${PERMIT} @id("half") forbid (principal` }, /one before is in force/)
  expect(await mint(session)).toMatchObject({ status: 403, body: { message: 'forbidden: closed' } })
  const { status, body } = await world.broker.get<{ policy_stale?: string }>('/readyz')
  expect({ status, stale: body.policy_stale }).toEqual({
    status: 200,
    stale: expect.stringContaining('the one before'),
  })

  await reloaded({ 'agents.cedar': PERMIT }, /policy in force/)
  expect(await mint(session)).toMatchObject({ status: 200 })
  // Readiness is asked once a second.
  await until(
    async () =>
      (await world.broker.get<{ policy_stale?: string }>('/readyz')).body.policy_stale === undefined,
  )
  const ledger = await verifiedLedger(world.broker.dataDir)
  const loaded = ledger.of('PolicyLoaded').map(({ data }) => data.sha256)
  expect(new Set(loaded).size).toBe(3)
})

test('a policy that is missing, or that fails, is no policy that allows', async () => {
  const empty = join(folder, '..', 'empty')
  mkdirSync(empty)
  for (const BROKER_POLICY of [empty, join(empty, 'none')]) {
    const broker = await BrokerProcess.spawn({ env: { BROKER_POLICY } })
    expect(await broker.exited()).toBe(1)
    expect(broker.log).toContain('refusing to start: BROKER_POLICY: ')
    await broker.dispose()
  }
  const { session } = await world.broker.session('carol')
  const overflow =
    '@id("sum") forbid (principal, action, resource) when { context.lifetime * 9223372036854775807 > 0 };'
  await reloaded({ 'agents.cedar': PERMIT, 'sum.cedar': overflow }, /policy in force/)
  expect(await mint(session)).toMatchObject({ status: 403, body: { reason: 'policy-error' } })
  const ledger = await verifiedLedger(world.broker.dataDir)
  expect(ledger.of('PolicyDecided').at(-1)).toMatchObject({ data: { decision: 'error', policies: ['sum'] } })
})

test('a policy may ask for a grant: its mint uses it up', async () => {
  const { session, wallet } = await world.broker.session('dora')
  const granted = '@id("granted") permit (principal, action, resource) when { context.grants >= 1 };'
  await reloaded({ 'granted.cedar': granted }, /policy in force/)
  expect(await mint(session)).toMatchObject({ status: 403, body: { reason: 'policy-denied' } })

  const operator = readFileSync(join(world.broker.dataDir, 'operator-token'), 'utf8').trim()
  const expires_at = Math.floor(Date.now() / 1000) + 3_600
  const resources = ['sts.amazonaws.com', DATA_ROLE_ARN]
  const ask = { wallet, actions: ['oidc_jwt'], resources, expires_at, max_uses: 1 }
  expect(await world.broker.post('/v1/grant/create', operator, ask)).toMatchObject({ status: 200 })
  expect(await mint(session)).toMatchObject({ status: 200 })
  expect(await mint(session)).toMatchObject({ status: 403, body: { reason: 'policy-denied' } })

  const used = (await verifiedLedger(world.broker.dataDir)).of('GrantUsed')
  expect(used).toMatchObject([{ data: { wallet } }])
})
