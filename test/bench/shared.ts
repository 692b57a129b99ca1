// Brokers on one ledger against a broker alone, in one run, on the EventStoreDB stand-in: what is compared are ratios.
//
//   node dist/test/bench/shared.js [SECONDS] [BROKERS…]         as many mints as go, 64 connections each
//   node dist/test/bench/shared.js --rate 200 [SECONDS] [BROKERS]   that many mints a second, spread over the brokers

import { setTimeout as pause } from 'node:timers/promises'

import type { LoadOrder, LoadResult } from '../../tools/bench/load.js'
import { Child } from '../../tools/bench/child.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { SharedBrokers } from '../support/shared-brokers.js'

const CONNECTIONS = 64
const PATH = '/v1/mint-oidc-jwt'
const WARM_UP_SECONDS = 5

async function load(broker: BrokerProcess, seconds: number): Promise<LoadResult> {
  const { session } = await broker.session()
  const child = Child.start<LoadOrder, LoadResult>('load.js')
  const bearers = Array.from({ length: CONNECTIONS }, () => session)
  try {
    return await child.ask({ port: Number(new URL(broker.url).port), path: PATH, bearers, seconds })
  } finally {
    void child.kill()
  }
}

async function contention(broker: BrokerProcess): Promise<{ appends: number; lost: number }> {
  const text = await (await fetch(`${broker.url}/metrics`)).text()
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  return { appends: value('agentkeys_ledger_appends'), lost: value('agentkeys_ledger_appends_lost') }
}

async function lostShare(brokers: readonly BrokerProcess[], act: () => Promise<void>): Promise<number> {
  const before = await Promise.all(brokers.map(contention))
  await act()
  const after = await Promise.all(brokers.map(contention))
  const grown = (key: 'appends' | 'lost') =>
    after.reduce((sum, now, i) => sum + now[key] - (before[i]?.[key] ?? 0), 0)
  return grown('lost') / grown('appends')
}

/** Mints a second of all brokers together. */
async function flatOut(count: number, seconds: number): Promise<number> {
  const shared = await SharedBrokers.open()
  try {
    for (let i = 0; i < count; i += 1) await shared.add()
    await Promise.all(shared.brokers.map((broker) => load(broker, 2)))
    let results: LoadResult[] = []
    const lost = await lostShare(shared.brokers, async () => {
      results = await Promise.all(shared.brokers.map((broker) => load(broker, seconds)))
    })
    const rates = results.map(({ requests, seconds }) => requests / seconds)
    const together = rates.reduce((sum, rate) => sum + rate, 0)
    show(`${count} brokers`, {
      together: Math.round(together),
      slowestOfFastest: round(Math.min(...rates) / Math.max(...rates)),
      lost: round(lost),
      p50Ms: results.map(({ p50Ms }) => Math.round(p50Ms)),
      p99Ms: results.map(({ p99Ms }) => Math.round(p99Ms)),
      maxMs: results.map(({ maxMs }) => Math.round(maxMs)),
    })
    return together
  } finally {
    await shared.dispose()
  }
}

type Mint = (i: number) => Promise<{ status: number }> | undefined

/** Open loop: a mint starts when its time has come, whatever became of those before. */
async function spread(mint: Mint, rate: number, seconds: number) {
  const latencies: number[] = []
  let failed = 0
  const one = async (i: number) => {
    const at = performance.now()
    const reply = await mint(i)
    latencies.push(performance.now() - at)
    if (reply?.status !== 200) failed += 1
  }
  const begun = performance.now()
  const mints: Promise<void>[] = []
  for (let i = 0; i < rate * seconds; i += 1) {
    const due = begun + (i * 1000) / rate - performance.now()
    if (due > 0) await pause(due)
    mints.push(one(i))
  }
  await Promise.all(mints)
  return { latencies, failed }
}

async function atRate(rate: number, seconds: number, count: number): Promise<void> {
  const shared = await SharedBrokers.open()
  try {
    for (let i = 0; i < count; i += 1) await shared.add()
    const sessions = await Promise.all(shared.brokers.map((broker) => broker.session()))
    const mint = (i: number) => shared.brokers[i % count]?.post(PATH, sessions[i % count]?.session)
    // As with the others: no broker is measured before it is warm.
    await spread(mint, rate, WARM_UP_SECONDS)
    let run: { latencies: number[]; failed: number } = { latencies: [], failed: 0 }
    const lost = await lostShare(shared.brokers, async () => {
      run = await spread(mint, rate, seconds)
    })
    const { failed } = run
    const sorted = run.latencies.sort((a, b) => a - b)
    const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? NaN)
    show(`${rate}/s over ${count}`, {
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(0.99999),
      lost: round(lost),
      failed,
    })
  } finally {
    await shared.dispose()
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000
const show = (name: string, values: object) => process.stdout.write(`${name} ${JSON.stringify(values)}\n`)

const args = process.argv.slice(2)
const rate = args[0] === '--rate' ? Number(args.splice(0, 2)[1]) : undefined
const [seconds = 10, ...counts] = args.map(Number)
if (rate !== undefined) await atRate(rate, seconds, counts[0] ?? 4)
else {
  const alone = await flatOut(1, seconds)
  for (const count of counts.length > 0 ? counts : [2, 4])
    show(`${count} brokers of one`, { ratio: round((await flatOut(count, seconds)) / alone) })
}
