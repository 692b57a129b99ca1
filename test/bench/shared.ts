// Brokers on one ledger against a broker alone, in one run, on the EventStoreDB stand-in: what is compared are ratios.
//
//   node dist/test/bench/shared.js [SECONDS] [ROUNDS] [BROKERS…]    as many mints as go, 64 connections each
//   node dist/test/bench/shared.js --rate 200 [SECONDS] [BROKERS]   that many mints a second over all, open loop

import type { LoadOrder, LoadResult } from '../../tools/bench/load.js'
import { Child } from '../../tools/bench/child.js'
import { median } from '../../tools/bench/statistics.js'
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

type HowMuch = Pick<LoadOrder, 'requests' | 'seconds' | 'perSecond'>

/** So many brokers on a ledger of their own, and for each of them somebody who mints there. */
class Cluster {
  private readonly loads: { child: Child<LoadOrder, LoadResult>; order: LoadOrder }[] = []

  private constructor(private readonly shared: SharedBrokers) {}

  /** Warmed up flat out: at a low rate the compiler would take minutes to be done. */
  static async open(count: number): Promise<Cluster> {
    const cluster = new Cluster(await SharedBrokers.open())
    for (let i = 0; i < count; i += 1) await cluster.add()
    await cluster.all({ requests: WARM_UP_MINTS })
    return cluster
  }

  /** All begin at one moment, idle until then. Any reply but 200 ends the load, and so the measurement. */
  async measure(howMuch: HowMuch): Promise<Figures> {
    let results: LoadResult[] = []
    const lost = await lostShare(this.shared.brokers, async () => {
      results = await this.all(howMuch)
    })
    return { results, lost }
  }

  async dispose(): Promise<void> {
    for (const { child } of this.loads) void child.kill()
    await this.shared.dispose()
  }

  private async add(): Promise<void> {
    const broker = await this.shared.add()
    const { session } = await broker.session()
    const order = {
      port: Number(new URL(broker.url).port),
      path: PATH,
      bearers: Array.from({ length: CONNECTIONS }, () => session),
    }
    this.loads.push({ child: Child.start<LoadOrder, LoadResult>('load.js'), order })
  }

  private all(howMuch: HowMuch): Promise<LoadResult[]> {
    return Promise.all(this.loads.map(({ child, order }) => child.ask({ ...order, ...howMuch })))
  }
}

/** One round of one count of brokers, flat out. Shows it, and gives the mints a second of all of them together. */
async function flatOut(count: number, cluster: Cluster, seconds: number): Promise<number> {
  const { results, lost } = await cluster.measure({ seconds })
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

/** In turns, since the machine may change its speed: a ratio is that of one round. */
async function inTurns(counts: readonly number[], seconds: number, rounds: number): Promise<void> {
  const clusters: [number, Cluster][] = []
  const ratios = new Map<number, number[]>(counts.map((count) => [count, []]))
  try {
    for (const count of [1, ...counts]) clusters.push([count, await Cluster.open(count)])
    for (let i = 0; i < rounds; i += 1) {
      let alone = NaN
      for (const [count, cluster] of clusters) {
        const together = await flatOut(count, cluster, seconds)
        if (count === 1) alone = together
        ratios.get(count)?.push(round(together / alone))
      }
    }
  } finally {
    for (const [, cluster] of clusters) await cluster.dispose()
  }
  for (const [count, all] of ratios)
    show(`${count} brokers of one`, { median: median(all), rounds: all, wanted: WANTED_RATIO[count] })
}

async function atRate(perSecond: number, seconds: number, count: number): Promise<void> {
  const cluster = await Cluster.open(count)
  try {
    const { results, lost } = await cluster.measure({ seconds, perSecond: perSecond / count })
    const { wanted, ...of } = WANTED_AT_RATE
    const isAsked = perSecond === of.perSecond && count === of.brokers
    show(`${perSecond}/s over ${count}`, { lost: round(lost), ...times(results), ...(isAsked && { wanted }) })
  } finally {
    await cluster.dispose()
  }
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
if (rate !== undefined) {
  const [seconds = 15, count = 4] = args.map(Number)
  await atRate(rate, seconds, count)
} else {
  const [seconds = 8, rounds = 3, ...counts] = args.map(Number)
  await inTurns(counts.length > 0 ? counts : [2, 4], seconds, rounds)
}
