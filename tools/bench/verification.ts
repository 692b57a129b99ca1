// verify-ledger, as an auditor runs it, beside plain SHA-256 of the same bytes.

import { fileURLToPath } from 'node:url'

import type { Bench } from './bench.js'
import type { HashOrder, HashResult } from './sha256.js'
import { median } from './statistics.js'
import { type Measured, runMeasured } from './usage-of-process.js'

const VERIFIER = fileURLToPath(new URL('../verify-ledger/main.js', import.meta.url))

/** What verify-ledger says with --json, as far as it is needed here. */
export interface Said {
  size: number
  seconds: number
  resumedFrom: number
}

/** verify-ledger as a process. Rejects when it finds anything. */
export async function verifyLedger(...args: string[]): Promise<Measured & { said: Said }> {
  const measured = await runMeasured(VERIFIER, [...args, '--json'])
  return { ...measured, said: JSON.parse(measured.stdout) as Said }
}

export interface VerifyFigures {
  entries: number
  bytesPerEntry: number
  perSecond: number
  sha256PerSecond: number
  /** 1: verification costs no more time than hashing alone on one core. */
  ratioToSha256: number
  peakMb: number
}

/** In turns, so that both see the same noise. */
export async function measureVerification(
  bench: Bench,
  ledgerPath: string,
  rounds: number,
): Promise<VerifyFigures> {
  const hasher = bench.child<HashOrder, HashResult>('./sha256.js')
  const turns: { entries: number; bytes: number; verify: number; sha256: number; peakMb: number }[] = []
  for (let round = 0; round < rounds; round += 1) {
    bench.progress(`verifying, round ${round + 1} of ${rounds}`)
    const { said, peakMb } = await verifyLedger(`sqlite:${ledgerPath}`)
    const { entries, bytes, seconds } = await hasher.ask({ ledgerPath })
    turns.push({ entries, bytes, verify: said.size / said.seconds, sha256: entries / seconds, peakMb })
  }
  await hasher.end()
  const { entries, bytes } = turns[0] ?? { entries: NaN, bytes: NaN }
  return {
    entries,
    bytesPerEntry: bytes / entries,
    perSecond: median(turns.map(({ verify }) => verify)),
    sha256PerSecond: median(turns.map(({ sha256 }) => sha256)),
    ratioToSha256: median(turns.map(({ verify, sha256 }) => verify / sha256)),
    peakMb: Math.max(...turns.map(({ peakMb }) => peakMb)),
  }
}
