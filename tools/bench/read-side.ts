// The read side of a ledger that is there: proofs, replies, and verify-ledger over HTTP. First the whole log, as exported,
// from a static host on this machine; then from the broker itself what has come since.

import { fileURLToPath } from 'node:url'

import { brokerEnvironment, type BrokerSettings } from '../broker-process.js'
import type { Bench } from './bench.js'
import { sessionsOf, targetOf } from './growth.js'
import { measureProofs, type ProofFigures, settledSize } from './proofs.js'
import { median } from './statistics.js'
import type { HostOrder, Hosting } from './tile-host.js'
import { runMeasured } from './usage-of-process.js'
import { verifyLedger } from './verification.js'

export interface TileFigures {
  entries: number
  perSecond: number
  peakMb: number
}

export interface ReadSideFigures {
  proofs: ProofFigures
  /** Of the largest reply to a mint, head and all. */
  replyBytes: number
  tiles: TileFigures
  increment: IncrementFigures
}

export interface IncrementFigures {
  /** Those that no run had seen, and what of the last bundle had been seen already. */
  entries: number
  /** Of the whole process, from its first moment to its last. */
  seconds: number
  peakMb: number
}

const BROKER = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const NEW_MINTS = 500

/** `home` is that of a broker which has stopped. */
export async function measureReadSide(
  bench: Bench,
  home: BrokerSettings,
  rounds: number,
): Promise<ReadSideFigures> {
  const state = bench.path('verify-state.json')
  const tiles = await measureTiles(bench, home, { rounds, state })
  const broker = await bench.broker({ ...home, env: { ...home.env, BROKER_LEDGER_ENTRIES: 'public' } })
  const proofs = await measureProofs(bench, broker.url)
  const bearers = await sessionsOf(broker, bench.connections)
  const { maxReplyBytes } = await bench.load.ask({ ...targetOf(broker, bearers), requests: NEW_MINTS })
  const increment = await measureIncrement(bench, broker.url, state)
  await broker.stop()
  return { proofs, replyBytes: maxReplyBytes, tiles, increment }
}

async function measureTiles(
  bench: Bench,
  home: BrokerSettings,
  { rounds, state }: { rounds: number; state: string },
): Promise<TileFigures> {
  const folder = bench.path('tiles')
  bench.progress('exporting tiles')
  await runMeasured(BROKER, ['export-tiles', folder], brokerEnvironment(home))
  const host = bench.child<HostOrder, Hosting>('./tile-host.js')
  const { url } = await host.ask({ folder })
  const runs = []
  for (let round = 0; round < rounds; round += 1) {
    bench.progress(`verifying tiles, round ${round + 1} of ${rounds}`)
    runs.push(await verifyLedger(url, '--state', state, '--full'))
  }
  await host.end()
  return {
    entries: runs[0]?.said.size ?? NaN,
    perSecond: median(runs.map(({ said }) => said.size / said.seconds)),
    peakMb: Math.max(...runs.map(({ peakMb }) => peakMb)),
  }
}

async function measureIncrement(bench: Bench, url: string, state: string): Promise<IncrementFigures> {
  bench.progress('verifying what is new')
  const size = await settledSize(url)
  const { said, seconds, peakMb } = await verifyLedger(`${url}/ledger`, '--state', state)
  if (said.size !== size || said.resumedFrom === 0) throw new Error('the run did not go on from the last one')
  return { entries: size - said.resumedFrom, seconds, peakMb }
}
