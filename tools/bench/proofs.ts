// GET /ledger/proof/<index>: the receipt of any entry, from a ledger that stands still.

import { setTimeout as after } from 'node:timers/promises'

import type { Bench } from './bench.js'

export interface ProofFigures {
  /** The size of the ledger. */
  entries: number
  p50Ms: number
  p99Ms: number
}

const REQUESTS = 3_000
const SETTLED_MS = 500

/** One request at a time, each for another entry: how long one takes, not how many there can be. */
export async function measureProofs(bench: Bench, url: string): Promise<ProofFigures> {
  const entries = await settledSize(url)
  bench.progress('asking for proofs')
  const order = { port: Number(new URL(url).port), path: '/ledger/proof/', below: entries, bearers: ['none'] }
  await bench.load.ask({ ...order, requests: REQUESTS / 10 })
  const { p50Ms, p99Ms } = await bench.load.ask({ ...order, requests: REQUESTS })
  return { entries, p50Ms, p99Ms }
}

/** Of the checkpoint that readers are shown, once the read models follow no more. */
export async function settledSize(url: string): Promise<number> {
  for (let before = -1; ;) {
    const size = sizeIn(await (await fetch(`${url}/ledger/checkpoint`)).text())
    if (size === before) return size
    before = size
    await after(SETTLED_MS)
  }
}

/** C2SP tlog-checkpoint: the second line. */
export function sizeIn(checkpoint: string): number {
  const size = Number(checkpoint.split('\n')[1])
  if (!Number.isSafeInteger(size)) throw new Error('what the broker serves is no checkpoint')
  return size
}
