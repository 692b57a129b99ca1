// The half of checks.ts that runs beside it.

import { parentPort, workerData } from 'node:worker_threads'

import type { Finding } from '../../src/domain/ledger/findings.js'
import { ChainWalk, type Expected, type Row } from '../../src/domain/ledger/verify.js'

/** The next rows, the first at place `from`; no rows: that was all. */
export interface Question {
  from: number
  rows: readonly Row[]
}

export interface Answer {
  /** Which of the rows hold no entry, counted from the first of them. */
  rejected: number[]
  found: Finding[]
  /** After these rows. */
  size: number
  head: string | null
}

const found: Finding[] = []
const walk = new ChainWalk((finding) => found.push(finding), workerData as Expected | undefined)

parentPort?.on('message', ({ from, rows }: Question) => {
  const rejected = rows.flatMap((row, i) => (walk.take(row, from + i) ? [] : [i]))
  if (rows.length === 0) walk.end()
  const answer: Answer = { rejected, found: found.splice(0), size: walk.size, head: walk.head }
  parentPort?.postMessage(answer)
})
