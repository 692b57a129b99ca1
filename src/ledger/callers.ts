// Callers that wait until their events are durable: their queue, and how each of them learns the outcome.

import type { Approvals } from '../domain/ledger/approvals.js'
import type { Grants } from '../domain/ledger/grants.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { CutOffs } from '../domain/ledger/cut-offs.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import { LedgerError } from '../domain/ledger-error.js'

/** What a condition may look at: the ledger as it is before the events, those of the same batch included. */
export interface HeadFacts {
  cutOffs: CutOffs
  grants: Grants
  approvals: Approvals
  /** The issuer's keys, where they are looked at. */
  keys: SigningKeys | undefined
  /** The time that the entries will have, in milliseconds. */
  at: number
}

/** Asked where the events are chained: why they must not be appended any more. Undefined: they may. */
export type AppendCondition = (head: HeadFacts) => LedgerError | undefined

/** A caller that waits for the outcome of its events. */
export interface PendingAppend {
  events: readonly LedgerEvent[]
  /** When they were decided: the time of their entries. */
  at: Date
  condition: AppendCondition | undefined
  settled: boolean
  resolve: (entries: Sealed[]) => void
  reject: (error: LedgerError) => void
}

/** A caller with the entries its events became. */
export interface SequencedAppend {
  waiting: PendingAppend
  entries: Sealed[]
}

export interface CallerLimits {
  /** How many callers may wait. The next one gets `unavailable`. */
  waiting: number
  /** How long a caller waits before it gets that the outcome is unknown. */
  callerMs: number
}

/** In arrival order. */
export class CallerQueue {
  private readonly callers: PendingAppend[] = []

  constructor(private readonly limits: CallerLimits) {}

  get length(): number {
    return this.callers.length
  }

  /** Resolves with the caller's entries once they are durable. Rejects with LedgerError. */
  add({ events, at, condition }: Pick<PendingAppend, 'events' | 'at' | 'condition'>): Promise<Sealed[]> {
    if (this.callers.length >= this.limits.waiting)
      return Promise.reject(new LedgerError('unavailable', 'too many callers wait for the ledger'))
    return new Promise((resolve, reject) => {
      const waiting: PendingAppend = { events, at, condition, settled: false, resolve, reject }
      this.callers.push(waiting)
      this.giveUpLater(waiting)
    })
  }

  /** The first callers: at most `most`, with at most `mostEntries` entries; one caller has any number. */
  take(most: number, mostEntries: number): PendingAppend[] {
    let entries = 0
    let taken = 0
    for (const waiting of this.callers) {
      entries += waiting.events.length
      if (taken === most || (taken > 0 && entries > mostEntries)) break
      taken += 1
    }
    // A caller that gave up while it was queued was never in an append: its events are dropped.
    return this.callers.splice(0, taken).filter(({ settled }) => !settled)
  }

  /** First in the queue again. */
  putBack(callers: readonly PendingAppend[]): void {
    this.callers.unshift(...callers)
  }

  rejectAll(error: LedgerError): void {
    for (const waiting of this.callers.splice(0)) rejectCaller(waiting, error)
  }

  private giveUpLater(waiting: PendingAppend): void {
    const timer = setTimeout(() => {
      const message = 'the ledger did not confirm in time: the outcome is unknown, nothing is handed out'
      // What is still in the queue was in no append, and will be dropped.
      const code = this.callers.includes(waiting) ? 'unavailable' : 'in-doubt'
      rejectCaller(waiting, new LedgerError(code, message))
    }, this.limits.callerMs)
    const { resolve, reject: fail } = waiting
    waiting.resolve = (entries) => (clearTimeout(timer), resolve(entries))
    waiting.reject = (error) => (clearTimeout(timer), fail(error))
  }
}

export function resolveCallers(durable: readonly SequencedAppend[]): void {
  for (const { waiting, entries } of durable) {
    if (waiting.settled) continue
    waiting.settled = true
    waiting.resolve(entries)
  }
}

export function rejectCaller(waiting: PendingAppend, error: LedgerError): void {
  if (waiting.settled) return
  waiting.settled = true
  waiting.reject(error)
}

export function rejectCallers(chained: readonly SequencedAppend[], error: LedgerError): void {
  for (const { waiting } of chained) rejectCaller(waiting, error)
}

/**
 * A call that was cut off in the middle may leave the first `written` entries of a batch. A caller whose entries are all
 * there gets them; one whose entries are there in part gets nothing, as after a crash. Returns those of whom there is
 * nothing.
 */
export function resolveWritten(chained: readonly SequencedAppend[], written: number): PendingAppend[] {
  const nothingThere: PendingAppend[] = []
  let begin = 0
  for (const each of chained) {
    const end = begin + each.entries.length
    if (end <= written) resolveCallers([each])
    else if (begin >= written) nothingThere.push(each.waiting)
    else
      rejectCaller(
        each.waiting,
        new LedgerError('in-doubt', 'the entries were written in part: nothing is handed out'),
      )
    begin = end
  }
  return nothingThere
}
