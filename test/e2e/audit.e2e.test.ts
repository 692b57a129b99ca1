// Who minted what: the audit API for callers and auditors, and the original's mint_log for old runbooks.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import type { MintRow } from '../../src/projections/mints.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { entriesOf, expectVerified } from '../support/audited-ledger.js'

interface AuditReply {
  mints: MintRow[]
  next_cursor: string | null
  ledger: { size_seen: number }
}

let world: BrokerWithAws
let broker: BrokerProcess
let alice: { session: string; wallet: string }
let bob: { session: string; wallet: string }
let auditor: string

/** Alice: a JWT, credentials, a refusal, an STS failure. Bob: a JWT. */
beforeAll(async () => {
  world = await startBrokerWithAws()
  broker = world.broker
  alice = await broker.session('alice')
  bob = await broker.session('bob')
  auditor = readFileSync(join(broker.dataDir, 'auditor-token'), 'utf8').trim()
  await broker.post('/v1/mint-oidc-jwt', alice.session)
  await broker.post('/v1/mint-aws-creds', alice.session)
  await broker.post('/v1/mint-aws-creds', alice.session, { duration_seconds: 1 })
  world.aws.failNext({ kind: 'error', code: 'AccessDenied' })
  await broker.post('/v1/mint-aws-creds', alice.session)
  await broker.post('/v1/mint-oidc-jwt', bob.session)
  await readModelCaughtUp()
})

afterEach(() => expectVerified(broker.dataDir))

afterAll(() => world.dispose())

async function readModelCaughtUp(): Promise<void> {
  const { length } = entriesOf(broker.dataDir)
  while ((await audit('')).body.ledger.size_seen < length) await new Promise((done) => setTimeout(done, 20))
}

const audit = (query: string, bearer = auditor) => broker.get<AuditReply>(`/v1/audit/mints${query}`, bearer)

async function seen(query: string, bearer?: string): Promise<unknown[]> {
  const { status, body } = await audit(query, bearer)
  expect(status).toBe(200)
  return body.mints.map(({ wallet, kind, outcome }) => [
    wallet === alice.wallet ? 'alice' : 'bob',
    kind,
    outcome,
  ])
}

const OF_ALICE = [
  ['alice', 'aws_creds', 'sts_error'],
  ['alice', 'aws_creds', 'refused'],
  ['alice', 'aws_creds', 'ok'],
  ['alice', 'oidc_jwt', 'ok'],
]
const ALL = [['bob', 'oidc_jwt', 'ok'], ...OF_ALICE]

describe('GET /v1/audit/mints', () => {
  test('shows the auditor all, and a session its own wallet only, newest first', async () => {
    expect(await seen('')).toEqual(ALL)
    expect(await seen('', alice.session)).toEqual(OF_ALICE)
    expect(await seen(`?wallet=${alice.wallet.toUpperCase().replace('X', 'x')}`, alice.session)).toEqual(
      OF_ALICE,
    )
    expect(await seen('', bob.session)).toEqual([['bob', 'oidc_jwt', 'ok']])
  })

  test("refuses another wallet's mints with 403, by any way to ask for them", async () => {
    const { status, body } = await audit(`?wallet=${alice.wallet}`, bob.session)
    expect([status, body]).toEqual([
      403,
      {
        error: 'forbidden',
        message: 'forbidden: a session sees only the mints of its own wallet',
        reason: 'other-wallet',
      },
    ])
    const creds = (await audit('?kind=aws_creds&outcome=ok')).body.mints[0]
    expect(await seen(`?jti=${creds?.mint_id}`, bob.session)).toEqual([])
    expect(await seen(`?access_key_id=${creds?.access_key_id}`, bob.session)).toEqual([])
    expect(await seen(`?access_key_id=${creds?.access_key_id}`, alice.session)).toEqual([
      ['alice', 'aws_creds', 'ok'],
    ])
  })

  test('refuses a bearer that is none, and does not take a wrong auditor token for a right one', async () => {
    for (const bearer of ['nobody', auditor.slice(0, -1), `${auditor}0`, auditor.toUpperCase()]) {
      expect((await audit('', bearer)).status).toBe(401)
    }
    const anonymous = await broker.get('/v1/audit/mints')
    expect([anonymous.status, anonymous.body]).toEqual([
      401,
      {
        error: 'unauthorized',
        message: 'unauthorized: missing Authorization header',
        reason: 'missing-authorization',
      },
    ])
  })

  test('filters, and pages through all without a gap', async () => {
    expect(await seen('?kind=oidc_jwt')).toEqual([
      ['bob', 'oidc_jwt', 'ok'],
      ['alice', 'oidc_jwt', 'ok'],
    ])
    expect(await seen('?outcome=sts_error')).toEqual([['alice', 'aws_creds', 'sts_error']])
    expect(await seen(`?wallet=${bob.wallet}&kind=aws_creds`)).toEqual([])
    expect(await seen('?since=2000-01-01T00:00:00Z&until=2001-01-01T00:00:00Z')).toEqual([])
    const pages: unknown[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body }: { body: AuditReply } = await audit(`?limit=2${cursor && `&cursor=${cursor}`}`)
      pages.push(body.mints.map(({ first_index }) => first_index))
      cursor = body.next_cursor
    }
    const all = (await audit('')).body.mints.map(({ first_index }) => first_index)
    expect(pages).toEqual([all.slice(0, 2), all.slice(2, 4), all.slice(4)])
  })

  test('refuses a filter it does not understand, instead of leaving it out', async () => {
    for (const [query, field] of [
      ['?walet=x', 'walet'],
      ['?wallet=', 'wallet'],
      [`?wallet=${alice.wallet}&wallet=${bob.wallet}`, 'wallet'],
      ['?outcome=OK', 'outcome'],
      ['?limit=0', 'limit'],
      ['?limit=1001', 'limit'],
      ['?since=yesterday', 'since'],
      ['?since=2026-02-30T00:00:00Z', 'since'],
      ['?cursor=x', 'cursor'],
      ["?jti=' OR 1=1 --", 'jti'],
      ['?constructor=1', 'constructor'],
      ['?__proto__=1', '__proto__'],
    ]) {
      const reply = await broker.get<{ error: string; message: string }>(`/v1/audit/mints${query}`, auditor)
      expect([query, reply.status, reply.body.error]).toEqual([query, 400, 'bad_request'])
      expect(reply.body.message).toContain(field)
    }
  })

  test('a row has what the ledger has, and points at its entries', async () => {
    const entries = entriesOf(broker.dataDir)
    const row = (await audit('?kind=aws_creds&outcome=ok')).body.mints[0]
    const minted = entries[row?.creds_minted_index ?? -1]
    const issued = entries[row?.jwt_issued_index ?? -1]
    expect(minted?.data).toMatchObject({
      mintId: row?.mint_id,
      accessKeyId: row?.access_key_id,
      assumedRoleArn: row?.assumed_role_arn,
      expiresAt: row?.expires_at,
    })
    expect(issued?.data).toMatchObject({
      mintId: row?.mint_id,
      signingInputSha256: row?.signing_input_sha256,
    })
  })
})

describe('the mint_log of the original', () => {
  function query(sql: string): unknown[] {
    const db = new Sqlite(join(broker.dataDir, 'audit.sqlite'), { readonly: true })
    try {
      return db.prepare(sql).all()
    } finally {
      db.close()
    }
  }

  test('has its columns, and a row for every mint as the original wrote it', () => {
    const [jwt, creds, refused, failed] = query('SELECT * FROM mint_log ORDER BY id') as Record<
      string,
      unknown
    >[]
    const common = {
      id: expect.any(Number),
      minted_at: expect.any(Number),
      requester_token_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      requester_wallet: alice.wallet,
    }
    const aws = { requested_role: DATA_ROLE_ARN, session_duration_seconds: 3600 }
    const name = expect.stringMatching(/^ak-[0-9a-f-]{36}$/)
    expect(jwt).toEqual({
      ...common,
      requested_role: 'oidc_jwt',
      session_duration_seconds: 300,
      sts_session_name: expect.stringMatching(/^[\w-]{43}$/),
      outcome: 'ok',
      outcome_detail: null,
    })
    expect(creds).toEqual({ ...common, ...aws, sts_session_name: name, outcome: 'ok', outcome_detail: null })
    expect(refused).toMatchObject({
      outcome: 'refused',
      outcome_detail: expect.stringMatching(/^duration-out-of-bounds: /),
    })
    expect(failed).toMatchObject({
      requester_wallet: alice.wallet,
      requested_role: DATA_ROLE_ARN,
      outcome: 'sts_error',
      outcome_detail: expect.stringMatching(/AccessDenied/),
    })
  })

  test('answers the queries of old runbooks', () => {
    const rate = query(`
      SELECT requester_wallet, count(*) AS n FROM mint_log
      WHERE minted_at > unixepoch('now', '-1 hour') GROUP BY requester_wallet ORDER BY n DESC`)
    expect(rate).toEqual([
      { requester_wallet: alice.wallet, n: 4 },
      { requester_wallet: bob.wallet, n: 1 },
    ])
    const trouble = query(`
      SELECT datetime(minted_at, 'unixepoch') AS at, requester_wallet, outcome, outcome_detail FROM mint_log
      WHERE outcome <> 'ok' ORDER BY minted_at DESC, id DESC LIMIT 20`)
    expect(trouble).toMatchObject([{ outcome: 'sts_error' }, { outcome: 'refused' }])
  })
})
