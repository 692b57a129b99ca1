// Gives the events of callers their places in the ledger: the one writer in this process, which commits in batches.

import type { Sealed } from '../domain/ledger/entry.js'
import { CutOffs } from '../domain/ledger/cut-offs.js'
import { Approvals } from '../domain/ledger/approvals.js'
import { Grants } from '../domain/ledger/grants.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { LedgerError } from '../domain/ledger-error.js'
import { LedgerSignatures } from '../domain/ledger/ledger-signature.js'
import type { Signer } from '../domain/ledger/note.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import type { EventStore } from '../event-store/event-store.js'
import { chainBatch, signed } from './batch.js'
import {
  type AppendCondition,
  type CallerLimits,
  CallerQueue,
  type PendingAppend,
  rejectCallers,
  resolveCallers,
  resolveWritten,
  type SequencedAppend,
} from './callers.js'
import { type Committed, LedgerChanged, LedgerHead } from './ledger-head.js'
import { LedgerWriter, type WriteOutcome, type WriterLimits } from './ledger-writer.js'

export interface SequencerLimits extends WriterLimits, CallerLimits {
  /** One batch: bounded, as by groupEntries, so that every store can write it at once. */
  groupBytes: number
}

export const DEFAULT_LIMITS: SequencerLimits = {
  waiting: 4096,
  callerMs: 10_000,
  storeMs: 8_000,
  groupEntries: 500,
  groupBytes: 512 * 1024,
  retryMs: 50,
}

const TROUBLE_MS = 5_000

/** Batches this small are never split: a second append costs more than the overlap saves. */
const SMALL_BATCH = 16

const RESTORE = 'run verify-ledger, then restore the ledger'

export type SequencerStatus = { ok: true } | { ok: false; reason: string }

export interface SequencerOptions {
  /** The ledger's own key: signs each append, and nothing is taken over that it has not signed. */
  signer: Signer
  /** The issuer's keys as of the head; without them events about keys are not looked at. */
  keys?: SigningKeys
  /** Whom the operator has cut off as of the head. */
  cutOffs?: CutOffs
  /** Grants as of the head. */
  grants?: Grants
  /** Approvals as of the head. */
  approvals?: Approvals
  /** Why this broker is no longer the one that may append here; asked before an append counts as durable. */
  displaced?: () => string | undefined
  /** Called with the reason when an append is in doubt, once until one succeeds: it is repeated until that is settled. */
  onDoubt?: (reason: string) => void
  /** Called once, with the reason and what to do: nothing is appended any more. */
  onHalt?: (reason: string) => void
  /** Hears once of each entry of others that is not taken over because its time is yet to come. */
  onFromFuture?: (problem: string) => void
}

/**
 * Group commit: what arrives while one append runs goes into the next one, in arrival order. The next one begins before
 * the callers of the last one are notified, so that they are served while the store works; and it takes half of the
 * callers, so that the store never waits for all of them, nor all of them for the store.
 *
 * A caller hears "appended" only after the store has said so, or after its entries were read back. While the outcome of
 * an append is unknown, nothing else is appended.
 */
export class Sequencer {
  private readonly queue: CallerQueue
  private readonly head: LedgerHead
  private readonly writer: LedgerWriter
  private readonly signer: Signer
  private readonly closing = new AbortController()
  private pumping: Promise<void> | undefined
  private writing = false
  /** Waits for the append under way. */
  private readonly between = new Set<(head: LedgerHead) => void>()
  private halted: LedgerError | undefined

  constructor(
    private readonly store: EventStore,
    last: Sealed | undefined,
    /** The system's time. Throws LedgerError while that is implausible. */
    private readonly now: () => Date,
    committed: Committed,
    private readonly limits: SequencerLimits,
    private readonly options: SequencerOptions,
  ) {
    const {
      signer,
      keys,
      cutOffs = new CutOffs(),
      grants = new Grants(),
      approvals = new Approvals(),
      onDoubt,
      onFromFuture = () => undefined,
    } = options
    const signatures = new LedgerSignatures(signer.key)
    const facts = { keys, cutOffs, grants, approvals, signatures }
    const head = new LedgerHead(last, { ...facts, committed, now, onFromFuture })
    const closing = this.closing.signal
    this.writer = new LedgerWriter({ store, head, limits, closing, onDoubt })
    this.queue = new CallerQueue(limits)
    this.signer = signer
    this.head = head
  }

  /** How many entries are known to be durable. */
  get size(): number {
    return this.head.size
  }

  /** The last durable entry. */
  get last(): Sealed | undefined {
    return this.head.last
  }

  /** Whom the operator has cut off, by all entries that are known to be durable. */
  get cutOffs(): CutOffs {
    return this.head.cutOffs
  }

  /** The issuer's keys, by all entries that are known to be durable. */
  get keys(): SigningKeys | undefined {
    return this.head.keys
  }

  /** Grants, by all entries that are known to be durable. */
  get grants(): Grants {
    return this.head.grants
  }

  /** Approvals, by all entries that are known to be durable. */
  get approvals(): Approvals {
    return this.head.approvals
  }

  /** The system's time, never behind the ledger's: what ids and entry times are drawn from. Throws as `now` does. */
  clock(): Date {
    const now = this.now()
    return this.last && this.last.entry.time > now.toISOString() ? new Date(this.last.entry.time) : now
  }

  /** Trouble is forgotten after a while without appends: else a broker taken out of service would never be asked again. */
  status(): SequencerStatus {
    const displaced = this.halted ? undefined : this.options.displaced?.()
    if (displaced !== undefined) this.halt(displaced)
    const timeless = this.timeProblem()
    if (this.halted) return { ok: false, reason: this.halted.message }
    if (timeless !== undefined) return { ok: false, reason: timeless }
    const { trouble } = this.writer
    const recent = trouble && (this.pumping || performance.now() - trouble.at < TROUBLE_MS)
    return recent ? { ok: false, reason: trouble.reason } : { ok: true }
  }

  /**
   * Resolves with the entries of `events`, together and in order, once they are durable. Rejects with LedgerError.
   * `at`, a reading of clock(), becomes their time, unless the ledger's is later by then. `condition` is asked
   * where the events are chained, so it sees every entry before them.
   */
  async append(
    events: readonly LedgerEvent[],
    at: Date = this.clock(),
    condition?: AppendCondition,
  ): Promise<Sealed[]> {
    if (this.halted) throw this.halted
    if (this.closing.signal.aborted) throw new LedgerError('unavailable', 'the broker is shutting down')
    const appended = this.queue.add({ events, at, condition })
    this.pumping ??= this.pump()
    return appended
  }

  /** Runs `work` while no append is under way: now, or after the one that is. Once, however often it was asked for by then. */
  betweenAppends(work: (head: LedgerHead) => void): void {
    if (this.halted) return
    this.between.add(work)
    if (!this.writing) this.runBetween()
  }

  /** Waits for what is under way. Nothing can be appended any more. */
  async close(): Promise<void> {
    this.closing.abort()
    await this.pumping
  }

  private async pump(): Promise<void> {
    // A turn of the event loop, so that callers of the same moment share the first batch too.
    await new Promise((resolve) => setImmediate(resolve))
    let durable: SequencedAppend[] = []
    while (this.queue.length > 0 && !this.halted) {
      const turn = this.store.turn()
      if (turn) {
        resolveCallers(durable)
        durable = []
        await turn
        if (this.halted) break
      }
      const most = turn ? Infinity : halfOf(this.queue.length + durable.length)
      const committing = this.commit(this.queue.take(most, this.limits.groupEntries))
      resolveCallers(durable)
      durable = await committing
      this.runBetween()
    }
    resolveCallers(durable)
    this.pumping = undefined
    if (this.halted) this.queue.rejectAll(this.halted)
  }

  /** Appends the batch. Resolves with the callers whose entries are durable. */
  private async commit(batch: PendingAppend[]): Promise<SequencedAppend[]> {
    const chained = this.chained(batch)
    const entries = chained.flatMap(({ entries }) => entries)
    if (entries.length === 0) return []
    this.writing = true
    const outcome = this.unlessDisplaced(await this.writer.write(signed(entries, this.signer)))
    this.writing = false
    switch (outcome.kind) {
      case 'durable':
        this.head.advance(entries)
        return chained
      case 'overtaken':
        this.queue.putBack(resolveWritten(chained, outcome.written))
        return []
      case 'unconfirmed':
        rejectCallers(chained, outcome.error)
        return []
      case 'changed':
        rejectCallers(chained, this.halt(`${outcome.reason}; ${RESTORE}`))
        return []
      case 'lost':
        rejectCallers(chained, this.halt(outcome.reason))
        return []
    }
  }

  private unlessDisplaced(outcome: WriteOutcome): WriteOutcome {
    const reason = outcome.kind === 'durable' ? this.options.displaced?.() : undefined
    return reason === undefined ? outcome : { kind: 'lost', reason }
  }

  /** Chained onto the head. For whom there was no room is first in the queue again. */
  private chained(batch: PendingAppend[]): SequencedAppend[] {
    const { last, keys, cutOffs, grants, approvals } = this.head
    const facts = { last, keys, cutOffs, grants, approvals }
    const { chained, rest } = chainBatch(batch, facts, this.limits.groupBytes)
    this.queue.putBack(rest)
    return chained
  }

  private runBetween(): void {
    const works = [...this.between]
    this.between.clear()
    for (const work of this.halted ? [] : works) {
      try {
        work(this.head)
      } catch (error) {
        if (error instanceof LedgerChanged) this.halt(`${error.message}; ${RESTORE}`)
        // An entry from the future waits for its time to come: see timeProblem.
        else if (!(error instanceof LedgerError)) throw error
      }
    }
  }

  /** Why nothing can be given a time now: the clock is implausible, or the next entry of the ledger is from the future. */
  private timeProblem(): string | undefined {
    try {
      const now = this.now()
      return this.head.fromFuture(now)
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      return error.message
    }
  }

  private halt(reason: string): LedgerError {
    // The first reason stands: a look at the status and the append under way may both find one.
    if (this.halted) return this.halted
    this.options.onHalt?.(reason)
    return (this.halted = new LedgerError('failed', reason))
  }
}

/** Of all callers who wait or will soon be back: the store works for one half while the other is served. */
function halfOf(callers: number): number {
  return Math.max(SMALL_BATCH, Math.ceil(callers / 2))
}
