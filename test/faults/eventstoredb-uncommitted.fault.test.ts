// A cluster that accepts appends and does not commit them for a while: replication is paused, or a leader changes. Such
// an append holds its place and cannot be read. Neither broker may conclude from that that the ledger was changed.

import { copyFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

/** How long a caller waits for the ledger, less a timer's inaccuracy. */
const CALLER_MS = 9_900

let home: EventStoreDbHome
let brokers: BrokerProcess[]
let sessions: string[]
const received = new Received()

beforeAll(async () => {
  home = await EventStoreDbHome.open()
  const env = { ...home.env, BROKER_OIDC_ISSUER: 'https://broker.example.com' }
  const first = await BrokerProcess.start({ env })
  const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  for (const name of ['ledger-key.json', 'oidc-keypair.json'])
    copyFileSync(join(first.dataDir, name), join(dataDir, name))
  brokers = [first, await BrokerProcess.start({ env, dataDir })]
  sessions = await Promise.all(brokers.map(async (broker) => (await broker.session()).session))
})
afterAll(async () => {
  for (const broker of brokers) await broker.dispose()
  await home.dispose()
})

/** After each: both are ready again and mint, and the ledger holds all that was handed out, once. */
afterEach(async () => {
  home.standIn.deliveryDelayMs = 0
  commits().resume()
  for (const [at, broker] of brokers.entries()) {
    await broker.becomesReady()
    expect(await mint(at)).toMatchObject({ status: 200 })
  }
  const ledger = await verifiedLedger(home.folder())
  expect(received.unexplainedBy(ledger)).toEqual([])
  const ids = ledger.of('JwtIssued').map(({ data }) => data.mintId)
  expect(new Set(ids).size).toBe(ids.length)
})

const commits = () => home.standIn.database.commits

async function mint(at: number): Promise<MintReply> {
  const reply: MintReply = await (brokers[at] as BrokerProcess).post('/v1/mint-oidc-jwt', sessions[at])
  received.note(reply)
  return reply
}

/** Resolves when so many more appends were tried: those that conflict are tried again and again. */
async function appendsTried(more: number): Promise<void> {
  const tried = () => home.standIn.calls.filter((call) => call === 'append').length
  const before = tried()
  await until(
    () => tried() - before >= more,
    () => `only ${tried() - before} appends were tried`,
  )
}

test.each([
  ['are committed', () => commits().resume()],
  ['are taken back', () => commits().abort()],
])('both brokers mint while appends are held, and all mints succeed when they %s', async (_, end) => {
  commits().pause()
  const mints = [mint(0), mint(1), mint(0), mint(1)]
  await appendsTried(6)
  end()
  expect((await Promise.all(mints)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
})

test.each([300, 1_000, 5_000])(
  'replication pauses for %i ms, and groups are delivered late: no mint fails before its ten seconds are over',
  async (ms) => {
    home.standIn.deliveryDelayMs = 7
    commits().pause()
    const mints = [0, 1, 0, 1].map(async (at) => {
      const begun = performance.now()
      const { status } = await mint(at)
      return { status, tookMs: performance.now() - begun }
    })
    await wait(ms)
    commits().resume()
    const failed = (await Promise.all(mints)).filter(({ status }) => status !== 200)
    expect(failed.filter(({ tookMs }) => tookMs < CALLER_MS)).toEqual([])
  },
)

test('a pause that begins again before a broker has read what was committed is only waited for', async () => {
  for (let round = 0; round < 3; round += 1) {
    commits().pause()
    const mints = [mint(0), mint(1)]
    await appendsTried(4)
    commits().resume()
    commits().pause()
    await appendsTried(1)
    commits().resume()
    expect((await Promise.all(mints)).map(({ status }) => status)).toEqual([200, 200])
  }
})

test('replication pauses for 40 s: each caller waits ten and gets a 503, and both brokers go on by themselves', async () => {
  commits().pause()
  const over = performance.now() + 40_000
  while (performance.now() < over) {
    const begun = performance.now()
    const replies = await Promise.all([mint(0), mint(1)])
    expect(performance.now() - begun).toBeGreaterThan(CALLER_MS)
    expect(replies.map(({ status, body }) => [status, body.error])).toEqual([
      [503, 'ledger_unavailable'],
      [503, 'ledger_unavailable'],
    ])
    for (const broker of brokers) expect((await broker.get('/readyz')).status).toBe(503)
  }
  commits().resume()
  for (const broker of brokers) {
    await broker.becomesReady()
    expect(broker.log).not.toContain('nothing is minted any more')
  }
})

test('an append whose caller has gone, taken back by a new leader, is not written a second time', async () => {
  commits().pause()
  expect((await mint(0)).status).toBe(503)
  commits().abort()
  expect((await mint(1)).status).toBe(200)
})
