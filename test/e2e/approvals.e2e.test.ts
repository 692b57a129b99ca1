// A mint that needs an approval: asked for, decided by others than those who asked, used once, and in the ledger.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { addressOf, signMessage } from '../../tools/agentkeys/wallet-key.js'
import { BrokerProcess } from '../support/broker-process.js'
import { runSubcommand } from '../support/subcommand.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'
const POLICY = `@id("approved") permit (principal, action, resource) when { context.approvals >= 1 };
@id("short") permit (principal, action, resource) when { context.lifetime == 60 };
@id("never") forbid (principal, action, resource) when { context.lifetime == 61 };`
const KEY = new Uint8Array(32).fill(7)
const APPROVER = addressOf(KEY)

interface Required {
  approval_id: string
  poll: string
  expires_at: string
  reason: string
}
interface Shown {
  state: string
  to_sign: { approve: string; deny: string }
}

let broker: BrokerProcess
let folder: string
let operator: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'approvals-'))
  writeFileSync(join(folder, 'p.cedar'), POLICY)
  broker = await BrokerProcess.start({ env: { BROKER_POLICY: folder, BROKER_APPROVERS: APPROVER } })
  operator = readFileSync(join(broker.dataDir, 'operator-token'), 'utf8').trim()
})
afterAll(async () => {
  await broker.dispose()
  rmSync(folder, { recursive: true })
})

async function wanted(session: string, ask: object = {}): Promise<Required> {
  const { status, body } = await broker.post<Required>(JWT, session, ask)
  expect({ status, reason: body.reason }).toEqual({ status: 403, reason: 'approval-required' })
  expect(body.poll).toBe(`/v1/approvals/${body.approval_id}`)
  return body
}

const approvals = (...args: string[]) =>
  runSubcommand(['approvals', ...args, '--port', String(broker.options.port)], {
    HOME: broker.dataDir,
    BROKER_DATA_DIR: broker.dataDir,
  })

const decide = (id: string, verb: 'approve' | 'deny', bearer = operator, body: object = {}) =>
  broker.post<{ reason?: string }>(`/v1/approvals/${id}/${verb}`, bearer, body)
const NO_SUCH = { status: 404, body: { reason: 'no-such-approval' } }

test('an approval is for one mint of exactly what was asked for', async () => {
  const { session } = await broker.session('alice')
  expect(await broker.post(JWT, session, { ttl_seconds: 60 })).toMatchObject({ status: 200 })
  expect(await broker.post(JWT, session, { ttl_seconds: 61 })).toMatchObject({
    body: { reason: 'policy-denied' },
  })
  const first = await wanted(session)
  expect((await wanted(session)).approval_id).toBe(first.approval_id)
  const polled = broker.get<Shown>(`${first.poll}?wait=55`, session)
  expect(await decide(first.approval_id, 'approve')).toMatchObject({ status: 200 })
  expect((await polled).body.state).toBe('granted')
  expect(await decide(first.approval_id, 'deny')).toMatchObject(NO_SUCH)
  // Another lifetime is another ask, which takes nothing of this one.
  const other = await wanted(session, { ttl_seconds: 299 })
  expect(other.approval_id).not.toBe(first.approval_id)
  const mints = await Promise.all([1, 2, 3].map(() => broker.post<Required>(JWT, session)))
  expect(mints.map(({ status }) => status).sort()).toEqual([200, 403, 403])
  const next = await wanted(session)
  expect(next.approval_id).not.toBe(first.approval_id)
  expect((await broker.get<Shown>(first.poll, session)).body.state).toBe('used')

  expect(await decide(next.approval_id, 'deny', operator, { reason: 'not today' })).toMatchObject({
    status: 200,
  })
  expect(await broker.post(JWT, session)).toMatchObject({ status: 403, body: { reason: 'approval-denied' } })
  const ledger = await verifiedLedger(broker.dataDir)
  expect(ledger.of('ApprovalUsed')).toMatchObject([{ data: { approvalId: first.approval_id } }])
})

test('a wallet in charge signs its decision; no other, and none for another text', async () => {
  const { session, wallet } = await broker.session('bob')
  const { approval_id, poll } = await wanted(session)
  const { body } = await broker.get<Shown>(poll, session)
  const stranger = signMessage(body.to_sign.approve, new Uint8Array(32).fill(8))
  const denial = signMessage(body.to_sign.deny, KEY)
  for (const signature of [stranger, denial])
    expect(await decide(approval_id, 'approve', session, { signature })).toMatchObject({
      status: 401,
      body: { reason: 'not-an-approver' },
    })
  expect(await decide(approval_id, 'approve', session)).toMatchObject({
    body: { reason: 'not-the-operator' },
  })
  const signature = signMessage(body.to_sign.approve, KEY)
  expect(await decide(approval_id, 'approve', session, { signature })).toMatchObject({ status: 200 })
  expect(await broker.post(JWT, session)).toMatchObject({ status: 200 })
  const ledger = await verifiedLedger(broker.dataDir)
  expect(ledger.of('ApprovalGranted').at(-1)).toMatchObject({ data: { by: APPROVER, signature } })
  expect(ledger.of('ApprovalUsed').at(-1)).toMatchObject({ data: { wallet } })
})

test('a wallet sees no request of another, and fills no room but its own', async () => {
  const [carol, dave] = [await broker.session('carol'), await broker.session('dave')]
  const asks = Array.from({ length: 9 }, (_, i) => ({ ttl_seconds: 100 + i }))
  for (const ask of asks.slice(0, 8)) await wanted(carol.session, ask)
  expect(await broker.post(JWT, carol.session, asks[8])).toMatchObject({
    status: 403,
    body: { reason: 'too-many-approvals' },
  })
  const { approval_id, poll } = await wanted(dave.session, asks[8])
  expect(await broker.get(poll, carol.session)).toMatchObject(NO_SUCH)
  expect(await broker.get('/v1/approvals/apr-0', carol.session)).toMatchObject(NO_SUCH)
  expect((await broker.get<Shown>(poll, dave.session)).body.state).toBe('open')

  await broker.stop()
  broker = await broker.restart()
  expect((await wanted(dave.session, asks[8])).approval_id).toBe(approval_id)
  const { body } = await broker.get<{ approvals: object[] }>('/v1/approvals', operator)
  expect(body.approvals.length).toBeGreaterThan(8)
  await verifiedLedger(broker.dataDir)
})

test('an operator lists, approves and denies from the command line', async () => {
  const { session, wallet } = await broker.session('erin')
  const [first, second] = [
    await wanted(session, { ttl_seconds: 201 }),
    await wanted(session, { ttl_seconds: 202 }),
  ]
  const listing = await approvals('list')
  expect(listing).toMatchObject({ code: 0 })
  for (const part of [first.approval_id, second.approval_id, wallet, 'sts.amazonaws.com', '201 s'])
    expect(listing.out).toContain(part)
  const approved = await approvals('approve', first.approval_id)
  expect(approved).toMatchObject({ code: 0, out: expect.stringContaining('approved, for one mint: entry ') })
  const denied = await approvals('deny', second.approval_id, '--reason', 'not today')
  expect(denied).toMatchObject({ code: 0, out: expect.stringContaining('is denied') })
  expect(await broker.post(JWT, session, { ttl_seconds: 201 })).toMatchObject({ status: 200 })
  expect(await broker.post(JWT, session, { ttl_seconds: 202 })).toMatchObject({
    body: { reason: 'approval-denied' },
  })
  const { approvals: all } = JSON.parse((await approvals('list', '--all', '--json')).out) as {
    approvals: { approval_id: string; state: string }[]
  }
  expect(all).toContainEqual(expect.objectContaining({ approval_id: first.approval_id, state: 'used' }))
  expect(await approvals('approve', first.approval_id)).toMatchObject({
    code: 1,
    err: expect.stringContaining('there is no such request'),
  })
  const ledger = await verifiedLedger(broker.dataDir)
  expect(ledger.of('ApprovalDenied').at(-1)).toMatchObject({ data: { by: 'operator', reason: 'not today' } })
})
