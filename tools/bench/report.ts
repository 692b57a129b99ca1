// The figures, for people and for machines.

import { availableParallelism, loadavg } from 'node:os'

import type { AppendResult } from './append.js'
import type { GrowthFigures } from './growth.js'
import type { MintFigures } from './mint.js'
import type { ProofFigures } from './proofs.js'
import type { IncrementFigures, ReadSideFigures, TileFigures } from './read-side.js'
import type { SigningResult } from './signing.js'
import { median, rounded } from './statistics.js'
import type { VerifyFigures } from './verification.js'
import type { WitnessedFigures } from './witnessed.js'

export interface Report {
  machine: { cores: number; node: string; loadBefore: number }
  mint: Omit<MintFigures, 'receipts' | 'signing'>
  /** Of each append's head, and what a follower spends on checking it. */
  signing: MintFigures['signing'] & SigningResult
  receipts: MintFigures['receipts'] & {
    /** Of the largest reply to a mint, and of how large a ledger. */
    replyBytes: number
    proofByIndex: ProofFigures
  }
  /** Mints that wait for a witness. */
  witnessed: WitnessedFigures
  append: { perSecond: number }
  verify: Omit<VerifyFigures, 'peakMb'>
  verifyTiles: TileFigures & { increment: IncrementFigures }
  memory: { verifierMb: number; brokerMb?: number; brokerMbAt1M?: number }
  /** In the full run only. */
  startup?: { readyMsAt1k: number; readyMsAt1M: number; rebuildSecondsAt1M: number }
  growth?: GrowthFigures['points']
}

export function machine(): Report['machine'] {
  return { cores: availableParallelism(), node: process.version, loadBefore: loadavg()[0] ?? NaN }
}

export interface Measurements {
  machine: Report['machine']
  mint: MintFigures
  signing: SigningResult
  witnessed: WitnessedFigures
  append: AppendResult
  verify: VerifyFigures
  readSide: ReadSideFigures
  growth: GrowthFigures | undefined
}

export function reportOf(measured: Measurements): Report {
  const { machine, mint, witnessed, append, verify, readSide, growth } = measured
  const { receipts, signing, ...mints } = mint
  const { peakMb, ...verifying } = verify
  const { proofs, replyBytes, tiles, increment } = readSide
  const report: Report = {
    machine,
    mint: mints,
    signing: { ...signing, ...measured.signing },
    receipts: { ...receipts, replyBytes, proofByIndex: proofs },
    witnessed,
    append: { perSecond: append.entries / append.seconds },
    verify: verifying,
    verifyTiles: { ...tiles, increment },
    memory: { verifierMb: peakMb },
  }
  return growth ? withGrowth(report, growth) : report
}

function withGrowth(report: Report, growth: GrowthFigures): Report {
  const { readyMsAt1k, readyMsAt1M, rebuildSeconds, brokerMb, brokerMbAt1M, points } = growth
  return {
    ...report,
    memory: { ...report.memory, brokerMb, brokerMbAt1M },
    startup: { readyMsAt1k, readyMsAt1M, rebuildSecondsAt1M: rebuildSeconds },
    growth: points,
  }
}

export function jsonReport(report: Report): string {
  const short = (_key: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? rounded(value) : value
  return `${JSON.stringify(report, short)}\n`
}

export function textReport(report: Report): string {
  const {
    machine,
    mint,
    signing,
    receipts,
    witnessed,
    append,
    verify,
    verifyTiles,
    memory,
    startup,
    growth,
  } = report
  const rows: Row[] = [
    ...mintRows(mint, machine),
    ...signingRows(signing),
    ...receiptRows(receipts),
    ...witnessedRow(witnessed),
    ['append', `${whole(append.perSecond)} entries/s`, 'chained, in the store, durable'],
    ...verifyRows(verify, memory),
    ...tileRows(verifyTiles),
    ...startupRows(startup),
    ...memoryRows(memory),
    ...growthRows(growth ?? []),
  ]
  const [left, middle] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map(
    ([name, value, note]) => `${name.padEnd(left ?? 0)}  ${value.padStart(middle ?? 0)}  ${note}`,
  )
  return `${lines.join('\n')}\n\nLoad average before: ${machine.loadBefore.toFixed(2)}. Node ${machine.node}.\n`
}

type Row = [name: string, value: string, note: string]

function witnessedRow({ p50Ms, p99Ms, connections, witnessMs }: Report['witnessed']): Row[] {
  const note = `p50, p99 at ${connections} at once, a witness that answers in ${witnessMs} ms; wanted: p50 250 ms or less`
  return [['witnessed mint', `${ms(p50Ms)}, ${ms(p99Ms)}`, note]]
}

function mintRows(mint: Report['mint'], { cores }: Report['machine']): Row[] {
  return [
    [
      'mint-oidc-jwt',
      `${whole(mint.perSecond)}/s`,
      `${mint.connections} connections, on ${cores} cores shared with the load`,
    ],
    ['  without ledger', `${whole(mint.baselinePerSecond)}/s`, 'the same server, its ledger left out'],
    ['  ratio', mint.ratio.toFixed(2), 'median of neighbouring turns; wanted: 0.7 or more'],
    [
      '  p50, p99',
      `${ms(mint.p50Ms)}, ${ms(mint.p99Ms)}`,
      `wanted: p99 under 25 ms; without ledger ${ms(mint.baselineP99Ms)}`,
    ],
    ...cpuRow(mint),
  ]
}

function verifyRows(verify: Report['verify'], { verifierMb }: Report['memory']): Row[] {
  return [
    [
      'verify-ledger',
      `${whole(verify.perSecond)} entries/s`,
      `${whole(verify.entries)} entries; wanted: 100,000/s or more`,
    ],
    ['  of SHA-256', verify.ratioToSha256.toFixed(2), `plain hashing: ${whole(verify.sha256PerSecond)}/s`],
    ['  memory', `${whole(verifierMb)} MiB`, 'resident at most; wanted: under 200 at a million'],
  ]
}

function cpuRow(mint: Report['mint']): Row[] {
  const { cpuUs, baselineCpuUs, mainThreadUs, baselineMainThreadUs, utilisation } = mint
  const mainThread: Row = [
    '  main thread',
    `${whole(mainThreadUs)} µs`,
    `for one mint, event loop ${whole(utilisation * 100)} % busy: what bounds a broker; without ledger ${whole(baselineMainThreadUs)} µs`,
  ]
  if (cpuUs === undefined || baselineCpuUs === undefined) return [mainThread]
  return [
    mainThread,
    [
      '  processor time',
      `${whole(cpuUs)} µs`,
      `for one mint, all threads; without ledger ${whole(baselineCpuUs)} µs`,
    ],
  ]
}

function signingRows(signing: Report['signing']): Row[] {
  const { ratio, withoutPerSecond, mainThreadRatio, entries, appends, signUs, checkUs } = signing
  const each = appends / entries
  return [
    [
      'signed appends, ratio',
      ratio.toFixed(3),
      `mints with and without, in turns; without: ${whole(withoutPerSecond)}/s; wanted: over 0.97`,
    ],
    ['  main thread', mainThreadRatio.toFixed(3), 'its time for a mint, with to without; wanted: under 1.03'],
    [
      '  signing',
      `${signUs.toFixed(0)} µs`,
      `an append; ${(signUs * each).toFixed(1)} µs an entry at ${(1 / each).toFixed(0)} entries an append`,
    ],
    [
      '  a check',
      `${checkUs.toFixed(0)} µs`,
      `an append, by each follower; ${(checkUs * each).toFixed(1)} µs an entry, in a thread of its own`,
    ],
  ]
}

function receiptRows({ ratio, withoutPerSecond, replyBytes, proofByIndex }: Report['receipts']): Row[] {
  const { entries, p50Ms, p99Ms } = proofByIndex
  return [
    ['receipts, ratio', ratio.toFixed(2), `without: ${whole(withoutPerSecond)}/s; wanted: 0.85 or more`],
    ['  largest reply', `${whole(replyBytes)} bytes`, `at ${whole(entries)} entries; wanted: under 4 KB`],
    [
      '  proof by index',
      `${ms(p50Ms)}, ${ms(p99Ms)}`,
      `p50, p99 at ${whole(entries)} entries; wanted: p99 under 10 ms`,
    ],
  ]
}

function tileRows({ entries, perSecond, peakMb, increment }: Report['verifyTiles']): Row[] {
  return [
    [
      'verify tiles',
      `${whole(perSecond)} entries/s`,
      `${whole(entries)} entries over loopback HTTP; wanted: 100,000/s or more`,
    ],
    ['  memory', `${whole(peakMb)} MiB`, 'resident at most; wanted: under 200'],
    [
      '  what is new',
      `${increment.seconds.toFixed(2)} s`,
      `${whole(increment.entries)} entries, start of the process included; wanted: under 1 s`,
    ],
  ]
}

function startupRows(startup: Report['startup']): Row[] {
  if (!startup) return []
  return [
    ['start-up', `${whole(startup.readyMsAt1k)} ms`, 'to ready, at 1,000 entries'],
    ['', `${whole(startup.readyMsAt1M)} ms`, 'at 1,000,000 entries; wanted: under 3,000'],
    ['', `${startup.rebuildSecondsAt1M.toFixed(1)} s`, 'at 1,000,000 entries, read models rebuilt'],
  ]
}

function memoryRows({ brokerMb, brokerMbAt1M }: Report['memory']): Row[] {
  if (brokerMb === undefined || brokerMbAt1M === undefined) return []
  return [
    ['broker memory', `${whole(brokerMb)} MiB`, 'resident at most, after 100,000 mints; wanted: under 300'],
    ['', `${whole(brokerMbAt1M)} MiB`, 'after 500,000 mints'],
  ]
}

const STRETCH = 200_000

/** A line for each two hundred thousand entries: the median of the windows in it. */
function growthRows(points: GrowthFigures['points']): Row[] {
  const last = points.at(-1)?.entries ?? 0
  return Array.from({ length: Math.round(last / STRETCH) }, (_, i) => {
    const [from, to] = [i * STRETCH, (i + 1) * STRETCH]
    const within = points.filter(({ entries }) => entries > from && entries - STRETCH / 10 <= to)
    const of = (pick: (point: GrowthFigures['points'][number]) => number) => median(within.map(pick))
    const cpu = of(({ cpuUsPerMint = NaN }) => cpuUsPerMint)
    const note = `up to ${whole(to)} entries; ${whole(cpu)} µs of processor time, p99 ${ms(of(({ p99Ms }) => p99Ms))}`
    return [i === 0 ? 'cost of a mint' : '', `${whole(of(({ usPerMint }) => usPerMint))} µs`, note]
  })
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}
