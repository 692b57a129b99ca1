// An operator cuts an agent off while it mints: the command, every broker of the ledger, and what the ledger says of it.

import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { verifyLedger } from '../../src/domain/ledger/verify.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { type BrokerWithAws, OTHER_ROLE_ARN, startBrokerWithAws } from '../support/broker-with-aws.js'
import { openStore, readAll } from '../support/eventstoredb/ledger.js'
import type { MintReply } from '../support/received.js'
import { startSessionBackendServer } from '../support/session-backend-server.js'
import { SharedBrokers } from '../support/shared-brokers.js'
import { runSubcommand } from '../support/subcommand.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const JWT = '/v1/mint-oidc-jwt'
const CREDS = '/v1/mint-aws-creds'
const REFUSED = { status: 403, body: { error: 'forbidden', reason: 'cut-off' } }

const command = ({ dataDir, options }: BrokerProcess, ...args: string[]) =>
  runSubcommand([...args, '--port', String(options.port)], { HOME: dataDir, BROKER_DATA_DIR: dataDir })

const cutOff = async (broker: BrokerProcess, kind: string, target: string): Promise<string> => {
  const { code, out, err } = await command(broker, 'cut-off', `--${kind}`, target, '--reason', 'test')
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
  return out
}

const restore = async (broker: BrokerProcess, kind: string, target: string): Promise<void> => {
  expect(await command(broker, 'restore', `--${kind}`, target)).toMatchObject({ code: 0 })
}

describe('one broker', () => {
  let world: BrokerWithAws
  beforeAll(async () => {
    world = await startBrokerWithAws({ env: { BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE_ARN } })
  })
  afterEach(() => verifiedLedger(world.broker.dataDir))
  afterAll(() => world.dispose())

  const mint = (session: string, path = JWT, ask: object = {}): Promise<MintReply> =>
    world.broker.post(path, session, ask)

  test('refuses a wallet from the command on, over a restart, until it is restored', async () => {
    const { session, wallet } = await world.broker.session('alice')
    const other = await world.broker.session('bob')
    expect(await mint(session)).toMatchObject({ status: 200 })

    const said = await cutOff(world.broker, 'wallet', wallet)
    expect(said).toContain(`"aws:PrincipalTag/agentkeys_user_wallet": "${wallet}"`)
    for (const path of [JWT, CREDS]) expect(await mint(session, path)).toMatchObject(REFUSED)
    expect(await mint(other.session)).toMatchObject({ status: 200 })

    await world.broker.stop()
    world.broker = await world.broker.restart()
    expect(await mint(session)).toMatchObject(REFUSED)
    await restore(world.broker, 'wallet', wallet)
    expect(await mint(session)).toMatchObject({ status: 200 })
    expect(await command(world.broker, 'restore', '--wallet', wallet)).toMatchObject({ code: 1 })
  })

  test('refuses a session with all its children, and not the wallet', async () => {
    const [first, second] = [await world.broker.session('carol'), await world.broker.session('carol')]
    const child = await childOf(first.session)
    await cutOff(world.broker, 'session', `sha256:${hash('sha256', first.session)}`)
    expect(await mint(first.session)).toMatchObject(REFUSED)
    expect(await mint(child)).toMatchObject(REFUSED)
    expect(await mint(second.session)).toMatchObject({ status: 200 })
  })

  test('refuses a role, and no other', async () => {
    const { session } = await world.broker.session('dave')
    await cutOff(world.broker, 'role', OTHER_ROLE_ARN)
    expect(await mint(session, CREDS, { role: OTHER_ROLE_ARN })).toMatchObject(REFUSED)
    expect(await mint(session, CREDS, { role: DATA_ROLE_ARN })).toMatchObject({ status: 200 })
    await restore(world.broker, 'role', OTHER_ROLE_ARN)
  })

  test('hands out nothing that STS gives after the cut-off', async () => {
    const { session, wallet } = await world.broker.session('erin')
    const asked = world.aws.calls.length
    // Far longer than the cut-off takes, which goes over HTTP here; far shorter than the broker waits for STS.
    world.aws.failNext({ kind: 'delay', ms: 5_000 })
    const underWay = mint(session, CREDS)
    await until(() => world.aws.calls.length > asked)
    const ask = { kind: 'wallet', target: wallet }
    const token = readFileSync(join(world.broker.dataDir, 'operator-token'), 'utf8').trim()
    expect(await world.broker.post('/v1/cut-off', token, ask)).toMatchObject({ status: 200 })
    expect(await underWay).toMatchObject(REFUSED)
    const ledger = await verifiedLedger(world.broker.dataDir)
    const failed = ledger.of('CredsMintFailed').filter(({ data }) => data.wallet === wallet)
    expect(failed).toMatchObject([{ data: { code: 'cut-off' } }])
  })

  test('obeys the operator token and no other', async () => {
    const { broker } = world
    const { session, wallet } = await broker.session('frank')
    const token = (name: string) => readFileSync(join(broker.dataDir, name), 'utf8').trim()
    const ask = { kind: 'wallet', target: wallet }
    for (const bearer of [undefined, session, token('auditor-token')]) {
      expect(await broker.post('/v1/cut-off', bearer, ask)).toMatchObject({ status: 401 })
      expect(await broker.get('/v1/cut-offs', bearer)).toMatchObject({ status: 401 })
    }
    const wrong = { kind: 'wallet', target: '*' }
    expect(await broker.post('/v1/cut-off', token('operator-token'), wrong)).toMatchObject({ status: 400 })
    expect(await mint(session)).toMatchObject({ status: 200 })

    await cutOff(broker, 'wallet', wallet)
    const { body } = await broker.get<{ cut_offs: object[] }>('/v1/cut-offs', token('operator-token'))
    expect(body.cut_offs).toContainEqual(expect.objectContaining({ ...ask, reason: 'test' }))
  })

  async function childOf(bearer: string): Promise<string> {
    const response = await fetch(`${world.broker.sessionUrl}/session/child`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify({ scope: { services: ['aws'], read_only: false } }),
    })
    return ((await response.json()) as { session: string }).session
  }
})

describe('brokers that share a ledger', () => {
  let shared: SharedBrokers
  beforeAll(async () => {
    shared = await SharedBrokers.open()
  })
  afterAll(() => shared.dispose())

  test('all obey a cut-off that one of them recorded, and the ledger holds no mint behind it', async () => {
    const backend = await startSessionBackendServer()
    try {
      const wallet = `0x${'ab'.repeat(20)}`
      backend.answers.set('agent', { kind: 'session', wallet })
      const more = { BROKER_BACKEND_URL: backend.url }
      const brokers = [await shared.add({ more }), await shared.add({ more }), await shared.add({ more })]
      let going = true
      const agents = brokers.map(async (broker) => {
        while (going) await broker.post(JWT, 'agent')
      })
      await cutOff(brokers[0]!, 'wallet', wallet)
      for (const broker of brokers) await until(async () => (await broker.post(JWT, 'agent')).status === 403)
      going = false
      await Promise.all(agents)
    } finally {
      await backend.close()
    }
    const store = openStore(shared.standIn.url)
    const texts = (await readAll(store)).map(({ text }) => text)
    await store.close()
    const { findings, counts } = verifyLedger(texts)
    expect(findings).toEqual([])
    expect(counts.byType).toMatchObject({ AccessCutOff: 1, MintRefused: expect.any(Number) })
  })
})
