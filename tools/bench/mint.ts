// The price of recording, and of receipts: mint-oidc-jwt with the ledger beside the same server without it, and beside
// one whose ledger gives no receipts, in turns.

import { mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'

import type { BrokerSettings } from '../broker-process.js'
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
  receipts: {
    withoutPerSecond: number
    /** Mints with receipts to mints without, everything else alike. */
    ratio: number
  }
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

interface Turn {
  recorded: Round
  unproved: Round
  unrecorded: Round
}

/** The machine is noisy: turns are short, alternate in order, and each ratio is within one of them. */
export async function measureMints(bench: Bench, times: MintTimes): Promise<MintFigures> {
  const recorded = await Server.start(bench, 'recorded')
  const unproved = await Server.start(bench, 'unproved')
  const unrecorded = await Server.start(bench, 'unrecorded')
  for (const server of [recorded, unproved, unrecorded]) await server.round(times.warmUpSeconds)
  const turns: Turn[] = []
  for (let round = 0; round < times.rounds; round += 1) {
    bench.progress(`minting, round ${round + 1} of ${times.rounds}`)
    const forward = round % 2 === 0
    const [first, last] = forward ? [recorded, unrecorded] : [unrecorded, recorded]
    const x = await first.round(times.seconds)
    const middle = await unproved.round(times.seconds)
    const y = await last.round(times.seconds)
    turns.push({ recorded: forward ? x : y, unproved: middle, unrecorded: forward ? y : x })
  }
  for (const server of [recorded, unproved, unrecorded]) await server.end()
  return figures(turns, bench.connections)
}

export function figures(turns: readonly Turn[], connections: number): MintFigures {
  const of = (pick: (turn: Turn) => number | undefined) =>
    median(turns.map(pick).filter((value) => value !== undefined))
  const known = turns.every(
    (turn) => turn.recorded.cpuUs !== undefined && turn.unrecorded.cpuUs !== undefined,
  )
  return {
    perSecond: of(({ recorded }) => recorded.perSecond),
    baselinePerSecond: of(({ unrecorded }) => unrecorded.perSecond),
    ratio: of(({ recorded, unrecorded }) => recorded.perSecond / unrecorded.perSecond),
    p50Ms: of(({ recorded }) => recorded.p50Ms),
    p99Ms: of(({ recorded }) => recorded.p99Ms),
    baselineP99Ms: of(({ unrecorded }) => unrecorded.p99Ms),
    ...(known && {
      cpuUs: of(({ recorded }) => recorded.cpuUs),
      baselineCpuUs: of(({ unrecorded }) => unrecorded.cpuUs),
    }),
    receipts: {
      withoutPerSecond: of(({ unproved }) => unproved.perSecond),
      ratio: of(({ recorded, unproved }) => recorded.perSecond / unproved.perSecond),
    },
    rounds: turns.length,
    connections,
  }
}

const ISSUER = 'http://127.0.0.1:8091'

/** Where the recorded ledger lies, once it was measured. */
export function recordedHome(bench: Bench): Omit<BrokerSettings, 'ports'> {
  return { dataDir: bench.path('recorded'), env: { BROKER_OIDC_ISSUER: ISSUER } }
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
    const env = { HOME: dataDir, BROKER_DATA_DIR: dataDir, BROKER_OIDC_ISSUER: ISSUER }
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
