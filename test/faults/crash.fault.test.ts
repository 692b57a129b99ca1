// SIGKILL, again and again, while callers mint: whatever they were left holding must be in the ledger.

import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { roleSessionName } from '../../src/domain/aws-session.js'
import type { LocalAws } from '../../tools/local-aws/server.js'
import { startAwsBroker } from '../support/aws-broker.js'
import { BrokerProcess } from '../support/broker-process.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { type MintReply, Received, repeated } from '../support/received.js'
import { seededRandom } from '../support/seeded-random.js'
import { ledgerPath, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

/** A ledger elsewhere has fewer places to break at: its server is not killed here. */
const KILLS = { sqlite: 16, esdb: 8 }
const KILLS_A_START = 4
const CLIENTS = 16
const SEED = Number(process.env['CRASH_SEED'] ?? randomInt(1_000_000))

describe.each(LEDGERS)('the ledger in $ledger', ({ ledger: where, openHome }) => {
  let aws: LocalAws
  let broker: BrokerProcess
  let home: LedgerHome
  const stop = new AbortController()

  beforeAll(async () => {
    home = await openHome()
    ;({ aws, broker } = await startAwsBroker({ env: home.env }))
  })
  afterAll(async () => {
    stop.abort()
    await broker.dispose()
    await aws.close()
    await home.dispose()
  })

  /** Mints until asked to stop, one after the other, and keeps what it gets; a broker that is gone is asked again. */
  async function client(bearer: string, nth: number, received: Received, signal: AbortSignal): Promise<void> {
    for (let turn = nth; !signal.aborted; turn += 1) {
      try {
        const path = turn % 2 === 0 ? '/v1/mint-oidc-jwt' : '/v1/mint-aws-creds'
        const reply: MintReply = await broker.post(path, bearer)
        received.note(reply)
      } catch {
        // Not there, or killed in the middle of an answer: what came of it is not JSON, and no one could use it.
        await pause(250)
      }
    }
  }

  /** Before each kill, so that there is something to lose however slow the machine is. */
  async function receiveBothKinds(received: Received): Promise<void> {
    const before = received.count
    while (received.count.jwts === before.jwts || received.count.keys === before.keys) await pause(20)
  }

  test(`a broker that is killed at any moment loses no credential and repeats none (CRASH_SEED=${SEED})`, async () => {
    const random = seededRandom(SEED)
    const sessions = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => broker.session(`user ${i}`)))
    const received = new Received()
    const clients = sessions.map(({ session }, i) => client(session, i, received, stop.signal))

    for (let kill = 0; kill < KILLS[where]; kill += 1) {
      await receiveBothKinds(received)
      await pause(random() * 400)
      await broker.stop('SIGKILL')
      expect((await verdictOn(ledgerPath(home.folder(broker.dataDir)))).findings).toEqual([])
      if (kill % KILLS_A_START === 0) {
        broker = await BrokerProcess.spawn(broker.options)
        await pause(random() * 1_500)
        await broker.stop('SIGKILL')
      }
      broker = await broker.restart()
      await broker.becomesReady()
    }
    stop.abort()
    await Promise.all(clients)
    expect(await broker.stop()).toBe(0)

    const ledger = await verifiedLedger(home.folder(broker.dataDir))
    const issued = ledger.of('JwtIssued')
    expect(received.unexplainedBy(ledger)).toEqual([])
    expect(repeated(issued.map(({ data }) => data.mintId))).toEqual([])
    expect(repeated(ledger.of('CredsMinted').map(({ data }) => data.accessKeyId))).toEqual([])
    // Record, act: whatever STS was asked for had been announced.
    const announced = new Set(issued.map(({ data }) => roleSessionName(data.mintId)))
    const asked = aws.calls.filter(({ action }) => action === 'AssumeRoleWithWebIdentity')
    expect(asked.filter(({ roleSessionName }) => !announced.has(roleSessionName ?? ''))).toEqual([])
    // There was something to lose, each time.
    expect(received.count.jwts).toBeGreaterThanOrEqual(KILLS[where])
    expect(received.count.keys).toBeGreaterThanOrEqual(KILLS[where])
  }, 600_000)
})
