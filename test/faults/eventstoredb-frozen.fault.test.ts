// A node that hangs on: the connection stands and nothing is answered. Who gives up first, what is said meanwhile, and
// that all goes on when it thaws.

import { SIGNER } from '../support/ledger-signer.js'
import { setTimeout as pause } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import type { LedgerEvent } from '../../src/domain/ledger/events.js'
import { EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import {
  DEFAULT_APPEND_TIMEOUT_MS,
  MAX_APPEND_TIMEOUT_MS,
} from '../../src/event-store/eventstoredb/address.js'
import { GRACE_MS } from '../../src/event-store/eventstoredb/connection.js'
import { Sequencer, DEFAULT_LIMITS } from '../../src/ledger/sequencer.js'
import { linked } from '../../src/ledger/open-ledger.js'
import { BrokerProcess } from '../support/broker-process.js'
import { openStore, readAll, STREAM } from '../support/eventstoredb/ledger.js'
import { StandInProcess } from '../support/eventstoredb/process.js'
import { type MintReply, Received } from '../support/received.js'
import { VerifiedLedger } from '../support/verified-ledger.js'
import { verifyLedger } from '../support/verify-ledger.js'

let node: StandInProcess
const cleanup: (() => unknown)[] = []
beforeEach(async () => {
  node = await StandInProcess.start()
  cleanup.push(() => node.end())
})
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

test('the deadline of an append is over before the sequencer gives up, whatever an operator may set', () => {
  expect(DEFAULT_APPEND_TIMEOUT_MS).toBeLessThanOrEqual(MAX_APPEND_TIMEOUT_MS)
  expect(MAX_APPEND_TIMEOUT_MS + GRACE_MS).toBeLessThan(DEFAULT_LIMITS.storeMs)
})

const event = (name: string): LedgerEvent => ({
  type: 'BrokerStarted',
  data: { node: name, version: '1', configSha256: 'f' },
})

test('closed while an append is unanswered: its caller hears that no one knows, not that it failed', async () => {
  const store = new EventStoreDbEventStore(`${node.url}&defaultDeadline=${MAX_APPEND_TIMEOUT_MS}`, {
    stream: STREAM,
  })
  cleanup.push(() => store.close())
  const limits = { ...DEFAULT_LIMITS, storeMs: 2_000, retryMs: 1 }
  const writer = new Sequencer(
    store,
    undefined,
    () => new Date(),
    () => undefined,
    limits,
    { signer: SIGNER },
  )
  await writer.append([event('before')])

  node.signal('SIGSTOP')
  const hit = writer.append([event('hit')]).catch((error: unknown) => error)
  while (writer.status().ok) await pause(20)
  await writer.close()
  expect(await hit).toMatchObject({ name: 'LedgerError', code: 'unavailable' })

  node.signal('SIGCONT')
  linked(undefined, await readAll(store))
})

/** Why the ledger is not ready, once it is more than that entries of others do not come. */
async function ledgerProblem(broker: BrokerProcess): Promise<string> {
  for (;;) {
    const { body } = await broker.get<{ problems?: string[] }>('/readyz')
    const problem = body.problems?.find((problem) => problem.startsWith('ledger: '))
    if (problem && !problem.includes('catching up')) return problem
    await pause(100)
  }
}

test('a broker with every limit at its default tells what the node did, and mints again when it thaws', async () => {
  const broker = await BrokerProcess.start({
    env: { BROKER_LEDGER_URL: node.url },
    flags: ['--insecure-ledger'],
  })
  cleanup.push(() => broker.dispose())
  const { session } = await broker.session()
  const received = new Received()
  const mint = async () => {
    const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', session)
    received.note(reply)
    return reply.status
  }
  expect(await mint()).toBe(200)

  node.signal('SIGSTOP')
  const waiting = mint()
  expect(await ledgerProblem(broker)).toMatch(/the append was not confirmed/)
  node.signal('SIGCONT')
  // Within the ten seconds that a caller waits, or after them.
  expect([200, 503]).toContain(await waiting)
  while ((await mint()) !== 200) await pause(100)

  const store = openStore(node.url)
  cleanup.push(() => store.close())
  const entries = linked(undefined, await readAll(store)).map(({ entry }) => entry)
  expect(received.unexplainedBy(new VerifiedLedger(entries))).toEqual([])
  expect((await verifyLedger(node.url)).report.ok).toBe(true)
})
