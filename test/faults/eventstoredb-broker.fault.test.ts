// What can go wrong between a broker and its EventStoreDB, with a whole broker in front: what callers get, that it
// recovers by itself, and that nothing was handed out that is not in the ledger.

import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import type { AppendFault } from '../support/eventstoredb/faults.js'
import { STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const MINT = '/v1/mint-oidc-jwt'
/** How long one append may take. */
const DEADLINE_MS = 2_000
/** How long each fault lasts: longer than that, and much less than a caller waits. */
const FAULT_MS = 2_500

let home: EventStoreDbHome
let proxy: TcpProxy
let broker: BrokerProcess
let session: string
const received = new Received()

beforeAll(async () => {
  home = await EventStoreDbHome.open()
  proxy = await TcpProxy.open(() => home.standIn.port)
  const url = home.urlThrough(proxy.port)
  const env = {
    BROKER_LEDGER_URL: `${url}&defaultDeadline=${DEADLINE_MS}`,
    BROKER_ALLOWED_AUDIENCES: 'api.example.com',
  }
  broker = await BrokerProcess.start({ env })
  session = (await broker.session()).session
})
afterAll(async () => {
  await broker.dispose()
  await proxy.close()
  await home.dispose()
})

/** After each fault: the broker is ready again and mints, and the ledger holds all that anybody got, once. */
afterEach(async () => {
  letGo()
  await broker.becomesReady()
  expect(await mint()).toMatchObject({ status: 200 })
  const ledger = await verifiedLedger(home.folder())
  expect(received.unexplainedBy(ledger)).toEqual([])
  expect(await sizeShown(ledger.entries.length)).toBe(ledger.entries.length)
})

function letGo(): void {
  const { standIn } = home
  standIn.appends.always = undefined
  standIn.reads.always = undefined
  standIn.applyDelayMs = () => 0
  standIn.database.maxAppendBytes = 1024 * 1024
  proxy.repair()
}

async function mint(): Promise<MintReply> {
  const reply: MintReply = await broker.post(MINT, session)
  received.note(reply)
  return reply
}

async function losesTheLedger(): Promise<void> {
  let said: object = {}
  await until(
    async () => {
      const { body } = await broker.get<{ status: string; ledger_ok: boolean }>('/readyz')
      said = body
      return body.status === 'not_ready' && !body.ledger_ok
    },
    () => `it does not miss its ledger: ${JSON.stringify(said)}`,
  )
}

/** What the broker publishes, once its read models have followed the ledger to `size`: no entry twice, none left out. */
async function sizeShown(size: number): Promise<number> {
  for (;;) {
    const text = await (await fetch(`${broker.url}/ledger/checkpoint`)).text()
    const shown = Number(text.split('\n')[1])
    if (shown >= size) return shown
    await pause(50)
  }
}

async function appendsCounted(): Promise<{ appends: number; lost: number; failed: number }> {
  const text = await (await fetch(`${broker.url}/metrics`)).text()
  const value = (name: string) => Number(new RegExp(`^agentkeys_ledger_${name} (\\d+)$`, 'm').exec(text)?.[1])
  return { appends: value('appends'), lost: value('appends_lost'), failed: value('appends_failed') }
}

/** Mints while `begin` is in force, and lets go. */
async function mintsDuring(begin: () => unknown): Promise<number[]> {
  begin()
  const mints = Array.from({ length: 4 }, mint)
  await pause(FAULT_MS)
  letGo()
  return (await Promise.all(mints)).map(({ status }) => status)
}

describe('appends', () => {
  test.each<AppendFault>([
    'commit-then-lose-the-reply',
    'commit-then-time-out',
    'commit-then-end-quietly',
    'commit-then-say-nothing',
    'commit-then-swallow',
    'end-quietly',
    'swallow',
    'reset',
    'internal',
    'unavailable',
  ])('%s: callers wait until it is known, and then have their token', async (fault) => {
    expect(await mintsDuring(() => (home.standIn.appends.always = fault))).toEqual([200, 200, 200, 200])
  })

  test.each<AppendFault>(['busy', 'not-ready', 'no-leader-info'])(
    '%s: callers are asked at once to retry, and nothing was written',
    async (fault) => {
      const before = home.standIn.database.events(STREAM).length
      home.standIn.appends.always = fault
      const replies = await Promise.all(Array.from({ length: 4 }, mint))
      for (const { status, body, headers } of replies)
        expect({ status, error: body.error, retry: headers.get('retry-after') }).toEqual({
          ...{ status: 503, error: 'ledger_unavailable', retry: '1' },
        })
      expect(home.standIn.database.events(STREAM)).toHaveLength(before)
    },
  )

  test('turned away: counted as failed, and not as lost to another broker', async () => {
    const before = await appendsCounted()
    home.standIn.appends.always = 'busy'
    expect((await mint()).status).toBe(503)
    letGo()
    expect((await mint()).status).toBe(200)
    expect(await appendsCounted()).toEqual({
      ...before,
      appends: before.appends + 2,
      failed: before.failed + 1,
    })
  })

  test('half a group was written: no entry is written twice, and at most the caller it was cut in gets nothing', async () => {
    for (let round = 0; round < 5; round += 1) {
      home.standIn.appends.next('commit-half-then-time-out')
      const mints = await Promise.all(Array.from({ length: 6 }, mint))
      const refused = mints.filter(({ status }) => status !== 200)
      expect(refused.map(({ status, body }) => [status, body.error]).slice(1)).toEqual([])
      for (const { status } of refused) expect(status).toBe(503)
    }
  })

  test('a disk slower than the deadline: callers wait, and each entry is there once', async () => {
    const slow = () => (home.standIn.applyDelayMs = () => DEADLINE_MS + 200)
    expect(await mintsDuring(slow)).toEqual([200, 200, 200, 200])
  })

  test('more than the server takes: refused as what it is, until the server takes it', async () => {
    home.standIn.database.maxAppendBytes = 100
    const { status, body } = await mint()
    expect({ status, error: body.error }).toEqual({ status: 500, error: 'audit_error' })
  })
})

describe('the way to the node', () => {
  test('frozen: callers wait, and it is not ready meanwhile', async () => {
    proxy.silence()
    const mints = Array.from({ length: 4 }, mint)
    await losesTheLedger()
    letGo()
    expect((await Promise.all(mints)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
  })

  test('cut off: nothing is handed out while it lasts', async () => {
    proxy.cut()
    const mints = Array.from({ length: 4 }, mint)
    await pause(FAULT_MS)
    await losesTheLedger()
    letGo()
    for (const { status } of await Promise.all(mints)) expect([200, 503]).toContain(status)
  })

  test('the node is killed and comes back', async () => {
    home.standIn.kill()
    const mints = Array.from({ length: 4 }, mint)
    await pause(FAULT_MS)
    await home.standIn.start()
    for (const { status } of await Promise.all(mints)) expect([200, 503]).toContain(status)
  })

  test('the node stops in order, as for an upgrade, and comes back', async () => {
    const stopped = home.standIn.stop(800)
    const mints = Array.from({ length: 4 }, mint)
    await stopped
    await home.standIn.start()
    for (const { status } of await Promise.all(mints)) expect([200, 503]).toContain(status)
  })

  test('another node became the leader, and then this one again', async () => {
    const leader = await home.anotherNode()
    home.standIn.leader = { host: '127.0.0.1', port: leader.port }
    try {
      expect((await Promise.all(Array.from({ length: 4 }, mint))).map(({ status }) => status)).toEqual([
        ...[200, 200, 200, 200],
      ])
      expect(leader.calls).toContain('append')
    } finally {
      home.standIn.leader = undefined
      await leader.dispose()
    }
    // The connection that led to the former leader is noticed by the first append that needs it.
    await until(
      async () => (await mint()).status === 200,
      () => 'it does not find back to the former leader',
    )
  })
})

describe('subscriptions', () => {
  const drops: [string, (read: { end(error?: Error): void }) => void][] = [
    ['end with OK', (read) => read.end()],
    ['fail', (read) => read.end(Object.assign(new Error('RST_STREAM'), { code: 13 }))],
  ]
  test.each(drops)('%s again and again while entries are written: no gap, none twice', async (_how, drop) => {
    for (let round = 0; round < 6; round += 1) {
      const mints = Array.from({ length: 8 }, mint)
      for (const read of [...home.standIn.openReads]) drop(read)
      expect(new Set((await Promise.all(mints)).map(({ status }) => status))).toEqual(new Set([200]))
    }
  })

  test('reads are refused for a while: the broker is not ready, tokens go on, and it catches up', async () => {
    home.standIn.reads.always = 'unavailable'
    for (const read of [...home.standIn.openReads]) read.end()
    expect((await mint()).status).toBe(200)
    await losesTheLedger()
  })
})
