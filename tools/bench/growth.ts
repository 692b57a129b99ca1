// One ledger grown by real mints from a thousand entries to a million: what a mint costs on the way, how much memory
// the broker takes, and how long it takes to start again.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { type BrokerProcess, type BrokerSettings, freePorts } from '../broker-process.js'
import type { Bench } from './bench.js'
import { MINT_PATH } from './mint.js'
import { median } from './statistics.js'
import { cpuMs, peakMb } from './usage-of-process.js'

export interface GrowthPoint {
  /** How large the ledger was at the end of the window. */
  entries: number
  usPerMint: number
  cpuUsPerMint?: number
  p99Ms: number
}

export interface GrowthFigures {
  readyMsAt1k: number
  readyMsAt1M: number
  /** From an empty read model to ready. */
  rebuildSeconds: number
  brokerMb: number
  brokerMbAt1M: number
  points: GrowthPoint[]
  /** Of the broker, which has stopped. */
  home: BrokerSettings
}

const SMALL = 1_000
const LARGE = 1_000_000
const ENTRIES_PER_MINT = 2
const WINDOW_MINTS = 10_000
const MINTS_FOR_MEMORY = 100_000
const STARTS = 5

export async function measureGrowth(bench: Bench): Promise<GrowthFigures> {
  // A ledger is its issuer's for life, and the issuer's name holds the port: every start is on the same one.
  const home = { dataDir: bench.path('growth'), ports: await freePorts() }
  const size = await mintUpTo(bench, home, SMALL)
  const readyMsAt1k = await startTime(bench, home)
  const grown = await grow(bench, home, size)
  const readyMsAt1M = await startTime(bench, home)
  return {
    ...{ readyMsAt1k, readyMsAt1M, ...grown },
    rebuildSeconds: await rebuildTime(bench, home),
    home,
  }
}

/** Returns the ledger's size: a multiple of two, give or take what the broker says of itself. */
async function mintUpTo(bench: Bench, home: BrokerSettings, entries: number): Promise<number> {
  const broker = await bench.broker(home)
  const bearers = await sessionsOf(broker, bench.connections)
  await bench.load.ask({ ...targetOf(broker, bearers), requests: Math.ceil(entries / ENTRIES_PER_MINT) })
  await broker.stop()
  return entries
}

async function grow(bench: Bench, home: BrokerSettings, from: number) {
  const broker = await bench.broker(home)
  const target = targetOf(broker, await sessionsOf(broker, bench.connections))
  const points: GrowthPoint[] = []
  let brokerMb = NaN
  for (let entries = from; entries < LARGE;) {
    const before = cpuMs(broker.pid)
    const { requests, seconds, p99Ms } = await bench.load.ask({ ...target, requests: WINDOW_MINTS })
    const after = cpuMs(broker.pid)
    entries += requests * ENTRIES_PER_MINT
    const cpu =
      before === undefined || after === undefined
        ? {}
        : { cpuUsPerMint: ((after - before) * 1000) / requests }
    points.push({ entries, usPerMint: (seconds * 1e6) / requests, ...cpu, p99Ms })
    if (entries >= MINTS_FOR_MEMORY * ENTRIES_PER_MINT && Number.isNaN(brokerMb))
      brokerMb = peakMb(broker.pid) ?? NaN
    if (points.length % 5 === 0) bench.progress(`growing the ledger: ${entries.toLocaleString('en')} entries`)
  }
  const brokerMbAt1M = peakMb(broker.pid) ?? NaN
  await broker.stop()
  return { points, brokerMb, brokerMbAt1M }
}

/** From the process's first moment to the first 200 on /readyz, read models where they stood. */
async function startTime(bench: Bench, home: BrokerSettings): Promise<number> {
  const times: number[] = []
  for (let start = 0; start < STARTS; start += 1) {
    const started = performance.now()
    const broker = await bench.broker(home)
    // The first one may still have to follow what was appended last.
    if (start > 0) times.push(performance.now() - started)
    await broker.stop()
  }
  bench.progress(`started ${STARTS} times`)
  return median(times)
}

async function rebuildTime(bench: Bench, home: BrokerSettings): Promise<number> {
  bench.progress('rebuilding the read models')
  for (const suffix of ['', '-wal', '-shm'])
    await rm(join(home.dataDir, `audit.sqlite${suffix}`), { force: true })
  const started = performance.now()
  const broker = await bench.broker(home)
  const seconds = (performance.now() - started) / 1000
  await broker.stop()
  return seconds
}

export function targetOf({ url }: BrokerProcess, bearers: string[]) {
  return { port: Number(new URL(url).port), bearers, path: MINT_PATH }
}

export async function sessionsOf(broker: BrokerProcess, count: number): Promise<string[]> {
  const bearers: string[] = []
  for (let i = 0; i < count; i += 1) bearers.push((await broker.session(`bench-${i}`)).session)
  return bearers
}
