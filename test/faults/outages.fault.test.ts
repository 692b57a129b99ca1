// What the broker needs goes away, one part after the other: what still answers, and what says so.

import { hash } from 'node:crypto'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import type { LocalAws } from '../../tools/local-aws/server.js'
import { awsFor } from '../support/aws-broker.js'
import { BrokerProcess } from '../support/broker-process.js'
import { freePort } from '../support/free-port.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { type SessionBackendServer, startSessionBackendServer } from '../support/session-backend-server.js'
import { until } from '../support/until.js'
import { ledgerPath, verifiedLedger } from '../support/verified-ledger.js'

const BEARER = 'a-bearer'
const WALLET = `0x${'a1'.repeat(20)}`

describe.each(LEDGERS)('the ledger in $ledger', ({ ledger: where, openHome }) => {
  let aws: LocalAws
  let backend: SessionBackendServer
  let broker: BrokerProcess
  let home: LedgerHome
  /** What the two documents were while all was well. */
  let documents: string
  const received = new Received()

  beforeAll(async () => {
    home = await openHome()
    backend = await startSessionBackendServer()
    backend.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    const port = await freePort()
    const account = await awsFor(port)
    aws = account.aws
    const env = {
      ...account.env,
      ...home.env,
      BROKER_BACKEND_URL: backend.url,
      // Much more than a good answer takes; silence is waited for as long.
      BROKER_BACKEND_TIMEOUT_SECONDS: '5',
    }
    broker = await BrokerProcess.start({ port, env })
    documents = await issuerDocuments()
  })
  afterAll(async () => {
    await broker.dispose()
    await backend.close()
    await aws.close()
    await home.dispose()
  })

  afterEach(async () => {
    backend.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    backend.health.status = 200
    aws.clearFaults()
    await becomes(200, [])
    for (const path of ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']) {
      expect(await mint(path)).toMatchObject({ status: 200 })
    }
    expect(received.unexplainedBy(await verifiedLedger(home.folder(broker.dataDir)))).toEqual([])
  })

  async function mint(path: string): Promise<MintReply> {
    const reply: MintReply = await broker.post(path, BEARER)
    received.note(reply)
    return reply
  }

  /** Discovery and JWKS, as bytes; each must be a 200. */
  async function issuerDocuments(): Promise<string> {
    const texts = []
    for (const name of ['openid-configuration', 'jwks.json']) {
      const response = await fetch(`${broker.url}/.well-known/${name}`)
      expect(response.status).toBe(200)
      texts.push(await response.text())
    }
    return texts.join('\n')
  }

  interface Ready {
    [part: `${string}_ok`]: boolean
  }

  /** Waits until readyz has this status, and says which parts are not well. */
  async function becomes(status: 200 | 503, parts: string[]): Promise<void> {
    let said = ''
    await until(
      async () => {
        const reply = await broker.get<Ready>('/readyz')
        said = `${reply.status}: ${JSON.stringify(reply.body)}`
        const failing = Object.entries(reply.body).flatMap(([part, ok]) => (ok === false ? [part] : []))
        return reply.status === status && failing.join() === parts.join()
      },
      () => `readyz stays ${said}`,
    )
  }

  test('the issuer documents name this issuer and its keys', () => {
    const [discovery = '', jwks = ''] = documents.split('\n').filter((line) => line !== '')
    expect(JSON.parse(discovery)).toMatchObject({
      issuer: broker.url,
      jwks_uri: `${broker.url}/.well-known/jwks.json`,
    })
    const key = {
      ...{ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' },
      ...{ kid: expect.any(String), x: expect.any(String), y: expect.any(String) },
    }
    expect((JSON.parse(jwks) as { keys: object[] }).keys).toEqual([key, key])
  })

  test('the session backend is down: no mint, nothing in the ledger, the issuer answers', async () => {
    const before = await verifiedLedger(home.folder(broker.dataDir))
    backend.answers.set(BEARER, { kind: 'reset', when: 'before-the-answer' })
    backend.health.status = 503

    expect(await mint('/v1/mint-oidc-jwt')).toMatchObject({
      status: 502,
      body: { error: 'backend_unreachable' },
    })
    await becomes(503, ['backend_ok'])
    expect(await issuerDocuments()).toBe(documents)
    expect((await verifiedLedger(home.folder(broker.dataDir))).entries).toEqual(before.entries)
  })

  test('the session backend says nothing: the mint is refused within its time limit', async () => {
    backend.answers.set(BEARER, { kind: 'silent' })
    backend.health.status = 'silent'

    expect(await mint('/v1/mint-aws-creds')).toMatchObject({
      status: 502,
      body: { error: 'backend_unreachable' },
    })
    await becomes(503, ['backend_ok'])
    expect(await issuerDocuments()).toBe(documents)
  })

  test('STS is down: AWS keys are refused and the refusal is recorded, JWTs go on', async () => {
    aws.failNext({ kind: 'drop' }, { times: 'all' })

    expect(await mint('/v1/mint-aws-creds')).toMatchObject({ status: 502, body: { error: 'sts_error' } })
    expect(await mint('/v1/mint-oidc-jwt')).toMatchObject({ status: 200 })
    await becomes(503, ['sts_ok'])
    expect(await issuerDocuments()).toBe(documents)
    const last = (await verifiedLedger(home.folder(broker.dataDir))).of('CredsMintFailed').at(-1)
    expect(last?.data).toMatchObject({ wallet: WALLET, code: 'unreachable' })
  })

  // What else a ledger elsewhere may suffer: eventstoredb-broker.fault.test.ts.
  if (where === 'sqlite')
    test('somebody holds the ledger’s write lock: mints are refused in time, and go on when it is free', async () => {
      const holder = new Sqlite(ledgerPath(broker.dataDir))
      holder.exec('BEGIN IMMEDIATE')
      const before = holder.prepare('SELECT count(*) AS entries FROM ledger').get()
      try {
        const refusal = { status: 503, body: { error: 'ledger_unavailable' } }
        const replies = await Promise.all(['/v1/mint-oidc-jwt', '/v1/mint-aws-creds'].map(mint))
        expect(replies).toMatchObject([refusal, refusal])
        expect(replies.map(({ headers }) => headers.get('retry-after'))).toEqual(['1', '1'])
        // Trouble is forgotten where no one mints.
        const [another] = await Promise.all([mint('/v1/mint-oidc-jwt'), becomes(503, ['ledger_ok'])])
        expect(another).toMatchObject(refusal)
        expect(await issuerDocuments()).toBe(documents)
        expect(holder.prepare('SELECT count(*) AS entries FROM ledger').get()).toEqual(before)
      } finally {
        holder.close()
      }
    })

  test('the read model is locked: mints and the issuer go on, and it catches up by itself', async () => {
    const holder = new Sqlite(join(broker.dataDir, 'audit.sqlite'))
    holder.exec('BEGIN IMMEDIATE')
    try {
      for (const path of ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']) {
        expect(await mint(path)).toMatchObject({ status: 200 })
      }
      // Where others write to the ledger too, a broker that does not follow it cannot say that it knows it all.
      await becomes(503, where === 'esdb' ? ['ledger_ok', 'projections_ok'] : ['projections_ok'])
      expect(await issuerDocuments()).toBe(documents)
    } finally {
      holder.close()
    }
  })

  test('what the bearer was is nowhere but as its hash: not in the ledger, not in the log', async () => {
    const { entries } = await verifiedLedger(home.folder(broker.dataDir))
    const text = JSON.stringify(entries)
    expect(text).toContain(hash('sha256', BEARER))
    expect(text).not.toContain(`"${BEARER}"`)
    expect(broker.log).not.toContain(BEARER)
  })
})
