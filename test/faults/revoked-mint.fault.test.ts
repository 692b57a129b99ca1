// A session that is revoked while its mint is under way gets nothing, wherever the mint waits.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import type { EntryToAppend } from '../../src/event-store/event-store.js'
import type { EmbeddedSessions } from '../../src/session/embedded-sessions.js'
import { openStore } from '../../src/start/ledger-store.js'
import { type BrokerInProcess, startInProcess } from '../support/broker-in-process.js'
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
    const validated = broker.parts.sessions.validate.bind(broker.parts.sessions)
    let seen = 0
    broker.parts.sessions.validate = async (bearer) => {
      const session = await validated(bearer)
      seen += 1
      return session
    }
    const waiting = [mint(revoked.session), mint(other.session)]
    await until(() => seen === 2)
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
