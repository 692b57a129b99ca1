// Verifying a ledger: every entry is in canonical form, follows from the one before, and tells what may have happened.
//
// A chain cannot show that its own tail was cut off: what is left is a valid, shorter ledger. That takes something
// the reader kept elsewhere: a head (`Expected`), a signed checkpoint, a receipt.

import { type Entry, EntryError, GENESIS, leafHash, parseEntry, type EntryProblem } from './entry.js'
import { finding, Findings, type Finding, type FindingKind } from './findings.js'
import { ProtocolChecker, type Counts } from './protocol-rules.js'

/** One row of a store, not yet believed: the text of an entry, or why it has no text. */
export type Row = string | BadRow

export interface BadRow {
  problem: EntryProblem
  detail: string
}

/** What the reader remembers: the size, and the head at that size. The ledger may have grown since. */
export interface Expected {
  size: number
  head?: string
}

export interface Verdict {
  ok: boolean
  /** Entries read. */
  size: number
  /** leafHash of the last entry; 64 zeros of an empty ledger, null when the last entry could not be hashed. */
  head: string | null
  firstFinding: Finding | null
  /** The first of them, see Findings. */
  findings: readonly Finding[]
  findingCount: number
  findingsByKind: Readonly<Partial<Record<FindingKind, number>>>
  counts: Counts
}

/** What holds an entry in the chain. */
interface Link {
  index: number
  prev: string
  time: string
  leafHash: string
}

/** Where the chain stands after some entry. */
export interface ChainState {
  size: number
  head: string | null
  lastTime: string
}

/** Verifies all of `rows`, from entry 0 on. Memory does not grow with the ledger. */
export function verifyLedger(rows: Iterable<Row>, expected?: Expected): Verdict {
  const findings = new Findings()
  const report = (finding: Finding): void => findings.add(finding)
  const chain = new ChainWalk(report, expected)
  const checker = new ProtocolChecker(report)
  for (const row of rows) {
    if (chain.take(row)) checker.take(JSON.parse(row as string) as Entry)
  }
  chain.end()
  checker.end()
  return verdictOf(chain, checker.counts, findings)
}

export function verdictOf(
  { size, head }: Pick<Verdict, 'size' | 'head'>,
  counts: Counts,
  { kept, count, byKind }: Findings,
): Verdict {
  return {
    ok: count === 0,
    size,
    head,
    firstFinding: kept[0] ?? null,
    findings: kept,
    findingCount: count,
    findingsByKind: byKind,
    counts,
  }
}

/**
 * The form and the chain, entry by entry. After a finding the walk goes on from what it found (its index, its time,
 * its hash), so that one altered entry is not blamed on all that follow.
 */
export class ChainWalk {
  /** Entries taken. */
  size: number
  head: string | null
  private due: number
  private lastTime: string
  /** How far the store's places are ahead of the indexes. */
  private shift = 0

  constructor(
    private readonly report: (finding: Finding) => void,
    private readonly expected?: Expected,
    { size, head, lastTime }: ChainState = { size: 0, head: GENESIS, lastTime: '' },
  ) {
    this.size = this.due = size
    this.head = head
    this.lastTime = lastTime
  }

  get state(): ChainState {
    return { size: this.size, head: this.head, lastTime: this.lastTime }
  }

  /** The next row. Whether it is an entry. `place` is where a store that numbers its rows keeps it. */
  take(row: Row, place?: number): boolean {
    const link = typeof row === 'string' ? this.read(row) : this.reject(row.problem, row.detail)
    if (link) this.compare(link, place)
    this.due = link ? link.index + 1 : this.due + 1
    this.head = link?.leafHash ?? (typeof row === 'string' ? hashOf(row) : null)
    this.size += 1
    if (this.size === this.expected?.size) this.compareHead(this.expected)
    return link !== undefined
  }

  /** Call once after the last entry. */
  end(): void {
    if (this.size === 0)
      this.report(finding(0, 'not-opened', 'the ledger is empty: it must begin with LedgerOpened'))
    if (this.expected && this.size < this.expected.size) {
      this.report(
        finding(this.size, 'cut-off', `${this.expected.size} entries were expected, ${this.size} are there`),
      )
    }
  }

  private read(text: string): Link | undefined {
    try {
      const { entry, leafHash } = parseEntry(text)
      return { index: entry.index, prev: entry.prev, time: entry.time, leafHash }
    } catch (error) {
      if (error instanceof EntryError) return this.reject(error.problem, error.message)
      throw error
    }
  }

  private reject(problem: EntryProblem, detail: string): undefined {
    this.report(finding(this.due, problem, detail))
  }

  private compare({ index, prev, time }: Link, place = index + this.shift): void {
    if (index !== this.due) {
      this.report(finding(this.due, 'wrong-index', `entry ${index} is where entry ${this.due} should be`))
    } else if (place !== index + this.shift) {
      this.report(finding(index, 'wrong-index', `entry ${index} is kept at place ${place} of the store`))
    }
    this.shift = place - index
    // Where the entry before could not be hashed there is nothing to hold prev against.
    if (this.head !== null && prev !== this.head) {
      const detail =
        'prev is not the leaf hash of the entry before: that entry or this one is not what was written'
      this.report(finding(index, 'broken-link', detail))
    }
    if (time < this.lastTime) {
      this.report(
        finding(index, 'time-backwards', `${time} is earlier than ${this.lastTime} of the entry before`),
      )
    }
    this.lastTime = time
  }

  private compareHead({ size, head }: Expected): void {
    if (head === undefined || head === this.head) return
    const detail = `the head of the first ${size} entries is ${this.head ?? 'unreadable'}, expected was ${head}`
    this.report(finding(size - 1, 'other-head', detail))
  }
}

/** The link that the next entry must name, whatever the text is; null when it is too long for an entry. */
function hashOf(text: string): string | null {
  try {
    return leafHash(text)
  } catch (error) {
    if (error instanceof EntryError) return null
    throw error
  }
}
