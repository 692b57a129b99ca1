// The price of recording: mint-oidc-jwt with the ledger beside the same server without it, in turns.

import { mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'

import type { Bench } from './bench.js'
import { type Child } from './child.js'
import type { LoadResult } from './load.js'
import type { ServerOrder, Serving } from './server.js'
import { median } from './statistics.js'
import { cpuMs } from './usage-of-process.js'

export const MINT_PATH = '/v1/mint-oidc-jwt'

export interface MintFigures {
  perSecond: number
  baselinePerSecond: number
  ratio: number
  p50Ms: number
  p99Ms: number
  baselineP99Ms: number
  /** Processor time of the server, all threads, for one mint. */
  cpuUs?: number
  baselineCpuUs?: number
  rounds: number
  connections: number
}

interface Round extends LoadResult {
  perSecond: number
  cpuUs: number | undefined
}

export interface MintTimes {
  rounds: number
  seconds: number
  warmUpSeconds: number
}

/** The machine is noisy: turns are short, alternate in order, and each ratio is of two neighbours. */
export async function measureMints(bench: Bench, times: MintTimes): Promise<MintFigures> {
  const recorded = await Server.start(bench, 'recorded')
  const unrecorded = await Server.start(bench, 'unrecorded')
  for (const server of [recorded, unrecorded]) await server.round(times.warmUpSeconds)
  const pairs: { a: Round; b: Round }[] = []
  for (let round = 0; round < times.rounds; round += 1) {
    bench.progress(`minting, round ${round + 1} of ${times.rounds}`)
    const [first, second] = round % 2 === 0 ? [recorded, unrecorded] : [unrecorded, recorded]
    const [x, y] = [await first.round(times.seconds), await second.round(times.seconds)]
    pairs.push(round % 2 === 0 ? { a: x, b: y } : { a: y, b: x })
  }
  await recorded.end()
  await unrecorded.end()
  return figures(pairs, bench.connections)
}

function figures(pairs: readonly { a: Round; b: Round }[], connections: number): MintFigures {
  const of = (pick: (pair: { a: Round; b: Round }) => number | undefined) =>
    median(pairs.map(pick).filter((value) => value !== undefined))
  const known = pairs.every(({ a, b }) => a.cpuUs !== undefined && b.cpuUs !== undefined)
  return {
    perSecond: of(({ a }) => a.perSecond),
    baselinePerSecond: of(({ b }) => b.perSecond),
    ratio: of(({ a, b }) => a.perSecond / b.perSecond),
    p50Ms: of(({ a }) => a.p50Ms),
    p99Ms: of(({ a }) => a.p99Ms),
    baselineP99Ms: of(({ b }) => b.p99Ms),
    ...(known && { cpuUs: of(({ a }) => a.cpuUs), baselineCpuUs: of(({ b }) => b.cpuUs) }),
    rounds: pairs.length,
    connections,
  }
}

class Server {
  private constructor(
    private readonly bench: Bench,
    private readonly child: Child<ServerOrder, Serving>,
    private readonly serving: Serving,
  ) {}

  static async start(bench: Bench, ledger: ServerOrder['ledger']): Promise<Server> {
    const dataDir = bench.path(ledger)
    mkdirSync(dataDir)
    const env = { HOME: dataDir, BROKER_DATA_DIR: dataDir, BROKER_OIDC_ISSUER: 'http://127.0.0.1:8091' }
    const stderr = openSync(join(dataDir, 'broker.log'), 'a')
    const child = bench.child<ServerOrder, Serving>('./server.js', { env, stderr })
    return new Server(bench, child, await child.ask({ ledger, sessions: bench.connections }))
  }

  async round(seconds: number): Promise<Round> {
    const before = cpuMs(this.child.pid)
    const result = await this.bench.load.ask({ ...this.serving, path: MINT_PATH, seconds })
    const after = cpuMs(this.child.pid)
    const cpuUs =
      before === undefined || after === undefined ? undefined : ((after - before) * 1000) / result.requests
    return { ...result, perSecond: result.requests / result.seconds, cpuUs }
  }

  end(): Promise<void> {
    return this.child.end()
  }
}
