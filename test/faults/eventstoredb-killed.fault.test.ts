// A broker that is killed while an append of its own is on the way: the node may have it or not, and no one is left who
// waits for the answer. And a broker that finds no node at all when it starts.

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import type { AppendFault } from '../support/eventstoredb/faults.js'
import { STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { until } from '../support/until.js'
import { type VerifiedLedger, verifiedLedger } from '../support/verified-ledger.js'

const MINT = '/v1/mint-oidc-jwt'

let home: EventStoreDbHome
let broker: BrokerProcess | undefined
let received: Received
beforeEach(async () => {
  received = new Received()
  home = await EventStoreDbHome.open()
})
afterEach(async () => {
  await broker?.dispose()
  broker = undefined
  await home.dispose()
})

const options = () => ({ env: { ...home.env, BROKER_ALLOWED_AUDIENCES: 'api.example.com' } })
const stored = () => home.standIn.database.events(STREAM).length
const appendsSent = () => home.standIn.calls.filter((call) => call === 'append').length

async function mint({ session }: { session: string }): Promise<number> {
  const reply: MintReply = await (broker as BrokerProcess).post(MINT, session)
  received.note(reply)
  return reply.status
}

/** The ledger verifies, and holds what anybody has. */
async function explained(): Promise<VerifiedLedger> {
  const ledger = await verifiedLedger(home.folder())
  expect(received.unexplainedBy(ledger)).toEqual([])
  return ledger
}

/** The next append meets `fault`, and the broker is killed when the node has done with it what it will. */
async function killedIn(fault: AppendFault, entries: number, begin: () => Promise<unknown>): Promise<void> {
  const [sent, size] = [appendsSent(), stored()]
  home.standIn.appends.next(fault)
  const begun = begin()
  await until(() => appendsSent() > sent && stored() === size + entries)
  await broker?.stop('SIGKILL')
  await begun
}

const cases: [string, AppendFault, boolean][] = [
  ['does not have it', 'swallow', false],
  ['has it', 'commit-then-swallow', true],
]

test.each(cases)(
  'a broker is killed with a mint on the way, and the node %s: its caller has nothing, and it goes on after what is there',
  async (_what, fault, written) => {
    broker = await BrokerProcess.start(options())
    expect(await mint(await broker.session())).toBe(200)
    const session = await broker.session()
    const before = await explained()
    await killedIn(fault, written ? 2 : 0, () => mint(session).catch(() => undefined))
    expect(received.count.jwts).toBe(1)
    const left = await explained()
    expect(left.types.slice(before.entries.length)).toEqual(written ? ['SessionValidated', 'JwtIssued'] : [])

    broker = await broker.restart()
    expect(await mint(await broker.session())).toBe(200)
    expect(await broker.stop()).toBe(0)
    const ledger = await explained()
    expect(ledger.entries.slice(0, left.entries.length)).toEqual(left.entries)
    expect(ledger.of('JwtIssued')).toHaveLength(written ? 3 : 2)
  },
)

test.each(cases)(
  'a broker is killed while it opens a new ledger, and the node %s: the next start has one ledger, opened once',
  async (_what, fault, written) => {
    await killedIn(fault, written ? 1 : 0, async () => (broker = await BrokerProcess.spawn(options())))
    broker = await (broker as BrokerProcess).restart()
    expect(await mint(await broker.session())).toBe(200)
    expect(await broker.stop()).toBe(0)
    const ledger = await explained()
    expect(ledger.of('LedgerOpened').map(({ index }) => index)).toEqual([0])
    expect(ledger.of('BrokerStarted')).toHaveLength(1)
  },
)

test('a broker that finds no node when it starts says so and ends, and starts when there is one', async () => {
  broker = await BrokerProcess.start(options())
  expect(await mint(await broker.session())).toBe(200)
  expect(await broker.stop()).toBe(0)
  const before = await explained()
  home.standIn.kill()
  const { code, reason } = await refusedStart(broker.options)
  expect({ code, reason }).toEqual({ code: 1, reason: expect.stringContaining('cannot be read now') })

  await home.standIn.start()
  broker = await broker.restart()
  expect(await mint(await broker.session())).toBe(200)
  expect(await broker.stop()).toBe(0)
  const after = await explained()
  expect(after.types.slice(before.entries.length)).toEqual(['BrokerStarted', 'SessionValidated', 'JwtIssued'])
})
