// The half of checks.ts that runs beside it.

import { parentPort, workerData } from 'node:worker_threads'

import type { Finding } from '../../src/domain/ledger/findings.js'
import { ChainWalk, type Expected, type Row } from '../../src/domain/ledger/verify.js'

/** The next rows, the first at place `from`; no rows: that was all. */
export interface Question {
  from: number
  rows: readonly Row[]
}

/** `row` counts from the first of the question's rows. */
export interface Answer {
  /** Those that hold no entry. */
  rejected: number[]
  found: { row: number; finding: Finding }[]
  /** After these rows. */
  size: number
  head: string | null
}

let answer: Answer
let row = 0
const walk = new ChainWalk(
  (finding) => answer.found.push({ row, finding }),
  workerData as Expected | undefined,
)

parentPort?.on('message', ({ from, rows }: Question) => {
  answer = { rejected: [], found: [], size: 0, head: null }
  for (row = 0; row < rows.length; row += 1) {
    if (!walk.take(rows[row] as Row, from + row)) answer.rejected.push(row)
  }
  if (rows.length === 0) walk.end()
  parentPort?.postMessage({ ...answer, size: walk.size, head: walk.head })
})
