// The price of recording, of receipts and of signing appends: mint-oidc-jwt with the ledger beside the same server
// without it, beside one whose ledger gives no receipts, and a pair with and without signatures, in turns.

import { mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'

import type { BrokerSettings } from '../broker-process.js'
import type { Bench } from './bench.js'
import { type Child } from './child.js'
import type { LoadResult } from './load.js'
import type { LedgerKind, ServerOrder, Serving } from './server.js'
import { median } from './statistics.js'
import { cpuMs, mainThreadCpuMs } from './usage-of-process.js'

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
  /** Processor time of the server's main thread for one mint: what bounds a broker. */
  mainThreadUs: number
  /** Of its event loop: the share of time in which it did not wait. */
  utilisation: number
  baselineMainThreadUs: number
  receipts: {
    withoutPerSecond: number
    /** Mints with receipts to mints without, everything else alike. */
    ratio: number
  }
  /** Each append signed, beside the same mints with appends that are not: see bare-appender.ts. */
  signing: {
    perSecond: number
    withoutPerSecond: number
    /** Mints with signatures to mints without. */
    ratio: number
    /** The main thread's time for a mint, with to without. */
    mainThreadRatio: number
  }
  rounds: number
  connections: number
}

interface Round extends LoadResult {
  perSecond: number
  cpuUs: number | undefined
  mainThreadUs: number
  utilisation: number
}

export interface MintTimes {
  rounds: number
  seconds: number
  warmUpSeconds: number
}

type Turn = Record<LedgerKind, Round>

/** Neighbours in a turn are compared: recorded with unproved and unrecorded, signed with unsigned. */
const ORDER = ['unproved', 'recorded', 'unrecorded', 'signed', 'unsigned'] as const satisfies LedgerKind[]

/** The machine is noisy: turns are short, alternate in order, and each ratio is within one of them. */
export async function measureMints(bench: Bench, times: MintTimes): Promise<MintFigures> {
  const servers = new Map<LedgerKind, Server>()
  for (const kind of ORDER) servers.set(kind, await Server.start(bench, kind))
  for (const server of servers.values()) await server.round(times.warmUpSeconds)
  const turns: Turn[] = []
  for (let round = 0; round < times.rounds; round += 1) {
    bench.progress(`minting, round ${round + 1} of ${times.rounds}`)
    const turn: Partial<Turn> = {}
    for (const [kind, server] of round % 2 === 0 ? servers : [...servers].reverse())
      turn[kind] = await server.round(times.seconds)
    turns.push(turn as Turn)
  }
  for (const server of servers.values()) await server.end()
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
    mainThreadUs: of(({ recorded }) => recorded.mainThreadUs),
    utilisation: of(({ recorded }) => recorded.utilisation),
    baselineMainThreadUs: of(({ unrecorded }) => unrecorded.mainThreadUs),
    ...(known && {
      cpuUs: of(({ recorded }) => recorded.cpuUs),
      baselineCpuUs: of(({ unrecorded }) => unrecorded.cpuUs),
    }),
    receipts: {
      withoutPerSecond: of(({ unproved }) => unproved.perSecond),
      ratio: of(({ recorded, unproved }) => recorded.perSecond / unproved.perSecond),
    },
    signing: {
      perSecond: of(({ signed }) => signed.perSecond),
      withoutPerSecond: of(({ unsigned }) => unsigned.perSecond),
      ratio: of(({ signed, unsigned }) => signed.perSecond / unsigned.perSecond),
      mainThreadRatio: of(({ signed, unsigned }) => signed.mainThreadUs / unsigned.mainThreadUs),
    },
    rounds: turns.length,
    connections,
  }
}

const ISSUER = 'http://127.0.0.1:8091'
/** Made of the issuer. */
export const RECORDED_ORIGIN = '127.0.0.1/ledger'

/** Where the recorded ledger lies, once it was measured. */
export function recordedHome(bench: Bench): Omit<BrokerSettings, 'ports'> {
  return { dataDir: bench.path('recorded'), env: { BROKER_OIDC_ISSUER: ISSUER } }
}

class Server {
  private constructor(
    private readonly bench: Bench,
    private readonly child: Child<ServerOrder, Serving>,
    private readonly order: ServerOrder,
    private readonly serving: Serving,
  ) {}

  static async start(bench: Bench, ledger: LedgerKind): Promise<Server> {
    const dataDir = bench.path(ledger)
    mkdirSync(dataDir)
    const env = { HOME: dataDir, BROKER_DATA_DIR: dataDir, BROKER_OIDC_ISSUER: ISSUER }
    const stderr = openSync(join(dataDir, 'broker.log'), 'a')
    const child = bench.child<ServerOrder, Serving>('./server.js', { env, stderr })
    const order = { ledger, sessions: bench.connections }
    return new Server(bench, child, order, await child.ask(order))
  }

  async round(seconds: number): Promise<Round> {
    const before = await this.used()
    const result = await this.bench.load.ask({
      port: this.serving.port,
      bearers: this.serving.bearers,
      path: MINT_PATH,
      seconds,
    })
    const after = await this.used()
    const { requests, seconds: took } = result
    return {
      ...result,
      perSecond: requests / took,
      cpuUs: before.cpu && after.cpu && ((after.cpu - before.cpu) * 1000) / requests,
      mainThreadUs: ((after.mainThread - before.mainThread) * 1000) / requests,
      utilisation: (after.active - before.active) / 1000 / took,
    }
  }

  private async used() {
    const { activeMs } = await this.child.ask(this.order)
    const { pid } = this.child
    return { cpu: cpuMs(pid), mainThread: mainThreadCpuMs(pid) ?? activeMs, active: activeMs }
  }

  end(): Promise<void> {
    return this.child.end()
  }
}
