// Another server beside ours: the same load, in turns, in one run, so that what else the machine does falls on both.

import { freePorts } from '../broker-process.js'
import type { Bench } from './bench.js'
import { sessionsOf } from './growth.js'
import type { LoadOrder } from './load.js'
import { MINT_PATH, type MintTimes } from './mint.js'
import { median } from './statistics.js'

/** A request to the other server, sent again and again on each connection. */
export interface BesideRequest {
  url: URL
  /** `Name: value` */
  headers: readonly string[]
  /** Then it is a POST of this JSON; else a GET. */
  body: string | undefined
}

export interface SideFigures {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

export interface BesideFigures {
  ours: SideFigures
  theirs: SideFigures
  /** Of our requests per second to theirs: the median of neighbouring turns. */
  ratio: number
  connections: number
}

/** The command line's words for it. Throws an Error that names the option. */
export function besideRequest(url: string, headers: readonly string[], body?: string): BesideRequest {
  const parsed = httpUrl(url)
  for (const header of headers)
    if (!/^[\w-]+: [\x20-\x7e]+$/.test(header))
      throw new Error("--header must be 'Name: value', in printable ASCII")
  if (body !== undefined) assertJson(body)
  return { url: parsed, headers, body }
}

function httpUrl(text: string): URL {
  try {
    const url = new URL(text)
    if (url.protocol === 'http:') return url
  } catch {
    // The same remedy as for another scheme.
  }
  throw new Error('--beside must be an http:// URL')
}

function assertJson(body: string): void {
  try {
    JSON.parse(body)
  } catch (cause) {
    throw new Error('--body must be JSON', { cause })
  }
}

export async function measureBeside(
  bench: Bench,
  request: BesideRequest,
  times: MintTimes,
): Promise<BesideFigures> {
  const ports = await freePorts()
  const broker = await bench.broker({
    dataDir: bench.path('beside'),
    ports,
    flags: ['--skip-startup-check'],
  })
  const bearers = await sessionsOf(broker, bench.connections)
  const ours = { port: ports[0], path: MINT_PATH, bearers }
  const figures = await inTurns(bench, { ours, theirs: besideOrder(request, bench.connections) }, times)
  await broker.stop()
  return { ...figures, connections: bench.connections }
}

export function besideOrder({ url, headers, body }: BesideRequest, connections: number): LoadOrder {
  const port = Number(url.port || 80)
  const path = `${url.pathname}${url.search}`
  const request = { method: body === undefined ? 'GET' : 'POST', host: url.hostname, headers, body } as const
  return { port, path, bearers: Array.from({ length: connections }, () => ''), request }
}

export async function inTurns(
  bench: Pick<Bench, 'load' | 'progress'>,
  orders: { ours: LoadOrder; theirs: LoadOrder },
  { rounds, seconds, warmUpSeconds }: MintTimes,
): Promise<Omit<BesideFigures, 'connections'>> {
  const side = async (order: LoadOrder, time: number) => {
    const { requests, seconds: took, ...rest } = await bench.load.ask({ ...order, seconds: time })
    return { perSecond: requests / took, ...rest }
  }
  for (const order of [orders.ours, orders.theirs]) await side(order, warmUpSeconds)
  const [ours, theirs]: [SideFigures[], SideFigures[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    bench.progress(`both servers, round ${round + 1} of ${rounds}`)
    if (round % 2 === 0) ours.push(await side(orders.ours, seconds))
    theirs.push(await side(orders.theirs, seconds))
    if (round % 2 === 1) ours.push(await side(orders.ours, seconds))
  }
  const ratios = ours.map(({ perSecond }, i) => perSecond / (theirs[i]?.perSecond ?? NaN))
  return { ours: mediansOf(ours), theirs: mediansOf(theirs), ratio: median(ratios) }
}

function mediansOf(sides: readonly SideFigures[]): SideFigures {
  const of = (pick: (side: SideFigures) => number) => median(sides.map(pick))
  return {
    perSecond: of(({ perSecond }) => perSecond),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
  }
}

export function besideText({ ours, theirs, ratio, connections }: BesideFigures, url: URL): string {
  const line = (name: string, { perSecond, p50Ms, p99Ms }: SideFigures) =>
    `${name.padEnd(16)} ${perSecond.toFixed(0).padStart(7)}/s  p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms\n`
  return (
    line('mint-oidc-jwt', ours) +
    line(url.host, theirs) +
    `${'ratio'.padEnd(16)} ${ratio.toFixed(2).padStart(9)}  ours to the other, median of neighbouring turns, ${connections} connections\n`
  )
}
