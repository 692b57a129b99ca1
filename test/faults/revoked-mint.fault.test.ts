// A session that is revoked while its mint is under way gets nothing, wherever the mint waits.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import type { EntryToAppend } from '../../src/event-store/event-store.js'
import type { EmbeddedSessions } from '../../src/session/embedded-sessions.js'
import { openStore } from '../../src/start/ledger-store.js'
import { type BrokerInProcess, startInProcess } from '../support/broker-in-process.js'
import { BrokerProcess } from '../support/broker-process.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { FaultyStore } from '../support/faulty-store.js'
import { freePort } from '../support/free-port.js'
import type { MintReply } from '../support/received.js'
import { startSessionBackendServer } from '../support/session-backend-server.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

/** Appends wait for as long as it is closed. */
class GatedStore extends FaultyStore {
  held = 0
  private gate: Promise<void> = Promise.resolve()

  /** Resolves the function that opens it again. */
  shut(): () => void {
    let open = () => undefined as void
    this.gate = new Promise((resolve) => (open = resolve))
    return open
  }

  override async append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    this.held += 1
    await this.gate
    return super.append(entries, expectedSize)
  }
}

describe('embedded sessions', () => {
  let store: GatedStore
  let broker: BrokerInProcess
  let sessions: EmbeddedSessions
  beforeAll(async () => {
    const open = {
      openStore: async (...as: Parameters<typeof openStore>) =>
        (store = new GatedStore(await openStore(...as))),
    }
    broker = await startInProcess(await freePort(), {}, open)
    sessions = broker.parts.sessions as EmbeddedSessions
  })
  afterAll(async () => {
    await verifiedLedger(broker.dataDir)
    await broker.close()
  })

  const mint = (bearer: string) => broker.mint('/v1/mint-oidc-jwt', bearer)

  test('a mint that waits for its place in the ledger is refused, and another session’s is not', async () => {
    const [first, revoked, other] = [
      await sessions.create('first'),
      await sessions.create('second'),
      await sessions.create('third'),
    ]
    const open = store.shut()
    const before = store.held
    const ahead = mint(first.session)
    await until(() => store.held > before)
    const validations = countValidations()
    const waiting = [mint(revoked.session), mint(other.session)]
    await until(() => validations() === 2)
    await sessions.revoke(revoked.session, { session: revoked.session })
    open()
    expect(await ahead).toMatchObject({ status: 200 })
    expect(await Promise.all(waiting)).toMatchObject([
      { status: 401, body: { reason: 'session-not-valid' } },
      { status: 200 },
    ])
    const issued = (await verifiedLedger(broker.dataDir)).of('JwtIssued')
    expect(issued.map(({ data }) => data.wallet)).toEqual([first.wallet, other.wallet])
  })

  test('a caller that ends sessions all the time keeps no other from minting', async () => {
    const [steady, other] = [await sessions.create('steady'), await sessions.create('another')]
    let open = store.shut()
    /** Holds up the ledger: what is asked for next waits behind it. */
    const holdUp = () => {
      const { held } = store
      const ahead = mint(other.session)
      return { ahead, underWay: () => until(() => store.held > held) }
    }
    const { ahead, underWay } = holdUp()
    await underWay()
    const aheads = [ahead]
    const validations = countValidations()
    const waiting = mint(steady.session)
    await until(() => validations() === 1)
    for (let round = 0; round < 4; round += 1) {
      const restless = await sessions.create('restless')
      await sessions.revoke(restless.session, { session: restless.session })
      const before = validations()
      const next = holdUp()
      await until(() => validations() === before + 1)
      const reopen = store.shut()
      open()
      open = reopen
      await next.underWay()
      aheads.push(next.ahead)
    }
    open()
    expect(await waiting).toMatchObject({ status: 200 })
    for (const { status } of await Promise.all(aheads)) expect(status).toBe(200)
  })

  /** How often a session has been validated from here on. */
  function countValidations(): () => number {
    const validate = sessions.validate.bind(sessions)
    let seen = 0
    sessions.validate = async (bearer) => {
      const session = await validate(bearer)
      seen += 1
      return session
    }
    return () => seen
  }
})

test('a session backend that takes longer to answer than its answers are relied on', async () => {
  const backend = await startSessionBackendServer()
  backend.answers.set('agent', { kind: 'slow', afterMs: 1_500, wallet: `0x${'ab'.repeat(20)}` })
  const broker = await BrokerProcess.start({ env: { BROKER_BACKEND_URL: backend.url } })
  expect(await broker.post('/v1/mint-oidc-jwt', 'agent')).toMatchObject({ status: 200 })
  // It is asked once, and not again because it was slow.
  expect(backend.calls.filter((call) => call === 'GET /session/validate')).toHaveLength(1)
  expect(await broker.stop()).toBe(0)
  await verifiedLedger(broker.dataDir)
  await backend.close()
})

describe('while STS is asked', () => {
  const CREDS = '/v1/mint-aws-creds'
  const GONE = { status: 401, body: { reason: 'session-not-valid' } }

  async function refusedAfter(world: BrokerWithAws, bearer: string, revoke: () => unknown): Promise<void> {
    const asked = world.aws.calls.length
    // Longer than an answer of a session backend is relied on.
    world.aws.failNext({ kind: 'delay', ms: 3_000 })
    const underWay: Promise<MintReply> = world.broker.post(CREDS, bearer)
    await until(() => world.aws.calls.length > asked)
    await revoke()
    expect(await underWay).toMatchObject(GONE)
    const ledger = await verifiedLedger(world.broker.dataDir)
    expect(ledger.of('CredsMinted')).toEqual([])
    expect(ledger.of('CredsMintFailed')).toMatchObject([{ data: { code: 'session-not-valid' } }])
  }

  test('a session of the embedded backend is revoked', async () => {
    const world = await startBrokerWithAws()
    try {
      const { session } = await world.broker.session('alice')
      await refusedAfter(world, session, async () => {
        const { status } = await fetch(`${world.broker.sessionUrl}/session/revoke`, {
          method: 'POST',
          headers: { authorization: `Bearer ${session}`, 'content-type': 'application/json' },
          body: JSON.stringify({ target_session: session }),
        })
        expect(status).toBe(200)
      })
    } finally {
      await world.dispose()
    }
  })

  test('a session of another backend ends', async () => {
    const backend = await startSessionBackendServer()
    backend.answers.set('agent', { kind: 'session', wallet: `0x${'ab'.repeat(20)}` })
    const world = await startBrokerWithAws({ env: { BROKER_BACKEND_URL: backend.url } })
    try {
      await refusedAfter(world, 'agent', () => backend.answers.delete('agent'))
    } finally {
      await world.dispose()
      await backend.close()
    }
  })
})
