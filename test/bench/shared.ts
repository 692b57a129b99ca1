// Brokers on one ledger against a broker alone, in one run, on the EventStoreDB stand-in: what is compared are ratios.
//
//   node dist/test/bench/shared.js [SECONDS] [BROKERS…]         as many mints as go, 64 connections each
//   node dist/test/bench/shared.js --rate 200 [SECONDS] [BROKERS]   that many mints a second over all, open loop

import type { LoadOrder, LoadResult } from '../../tools/bench/load.js'
import { Child } from '../../tools/bench/child.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { SharedBrokers } from '../support/shared-brokers.js'

const CONNECTIONS = 64
const PATH = '/v1/mint-oidc-jwt'
/** As many for each broker, however many there are: after fewer the compiler still takes a share of the machine. */
const WARM_UP_MINTS = 5_000
/** What is asked for, printed beside what was measured. docs/scaling.md, "What was measured, and what was not". */
const WANTED = { slowestOfFastest: 'at least 0.85', lost: 'under 0.05', p99Ms: 'under 1000' }
const WANTED_RATIO: Record<number, string> = { 2: 'at least 0.65', 4: 'at least 0.5' }
const WANTED_AT_RATE = { perSecond: 200, brokers: 4, wanted: { lost: 'under 0.05', p99Ms: 'under 100' } }

async function load(
  broker: BrokerProcess,
  howMuch: Pick<LoadOrder, 'requests' | 'seconds' | 'perSecond'>,
): Promise<LoadResult> {
  const { session } = await broker.session()
  const child = Child.start<LoadOrder, LoadResult>('load.js')
  const port = Number(new URL(broker.url).port)
  const bearers = Array.from({ length: CONNECTIONS }, () => session)
  try {
    return await child.ask({ port, path: PATH, bearers, ...howMuch })
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

interface Figures {
  results: LoadResult[]
  lost: number
}

/** So many brokers on one ledger, each under the same load: as many mints as go, or `perSecond` over all of them. */
async function measure(count: number, seconds: number, perSecond?: number): Promise<Figures> {
  const shared = await SharedBrokers.open()
  try {
    for (let i = 0; i < count; i += 1) await shared.add()
    const all = (howMuch: Parameters<typeof load>[1]) =>
      Promise.all(shared.brokers.map((broker) => load(broker, howMuch)))
    // Flat out: at a low rate the compiler would take minutes to be done.
    await all({ requests: WARM_UP_MINTS })
    let results: LoadResult[] = []
    const lost = await lostShare(shared.brokers, async () => {
      results = await all({ seconds, ...(perSecond !== undefined && { perSecond: perSecond / count }) })
    })
    return { results, lost }
  } finally {
    await shared.dispose()
  }
}

/** Mints a second of all brokers together. */
async function flatOut(count: number, seconds: number): Promise<number> {
  const { results, lost } = await measure(count, seconds)
  const rates = results.map(({ requests, seconds }) => requests / seconds)
  const together = rates.reduce((sum, rate) => sum + rate, 0)
  const slowestOfFastest = round(Math.min(...rates) / Math.max(...rates))
  show(`${count} brokers`, {
    together: Math.round(together),
    slowestOfFastest,
    lost: round(lost),
    ...times(results),
    ...(count > 1 && { wanted: WANTED }),
  })
  return together
}

/** Any reply but 200 ends the load, and so the measurement. */
async function atRate(perSecond: number, seconds: number, count: number): Promise<void> {
  const { results, lost } = await measure(count, seconds, perSecond)
  const { wanted, ...of } = WANTED_AT_RATE
  const isAsked = perSecond === of.perSecond && count === of.brokers
  show(`${perSecond}/s over ${count}`, { lost: round(lost), ...times(results), ...(isAsked && { wanted }) })
}

const times = (results: readonly LoadResult[]) => ({
  p50Ms: results.map(({ p50Ms }) => Math.round(p50Ms)),
  p99Ms: results.map(({ p99Ms }) => Math.round(p99Ms)),
  maxMs: results.map(({ maxMs }) => Math.round(maxMs)),
})
const round = (value: number) => Math.round(value * 1000) / 1000
const show = (name: string, values: object) => process.stdout.write(`${name} ${JSON.stringify(values)}\n`)

const args = process.argv.slice(2)
const rate = args[0] === '--rate' ? Number(args.splice(0, 2)[1]) : undefined
const [seconds = 10, ...counts] = args.map(Number)
if (rate !== undefined) await atRate(rate, seconds, counts[0] ?? 4)
else {
  const alone = await flatOut(1, seconds)
  for (const count of counts.length > 0 ? counts : [2, 4]) {
    const ratio = round((await flatOut(count, seconds)) / alone)
    show(`${count} brokers of one`, { ratio, wanted: WANTED_RATIO[count] })
  }
}
