// Writes entries after the head, and does not rest before it is known what became of them. docs/design.md, "The
// sequencer".

import { deadline } from '../deadline.js'
import { LedgerError } from '../domain/ledger-error.js'
import { type EntryToAppend, type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { LedgerChanged, type LedgerHead } from './ledger-head.js'
import { UNSIGNED_FOR_MS, unsignedEntries } from '../domain/ledger/unsigned.js'

export interface WriterLimits {
  /** How long the store may be silent before an append's outcome counts as unknown: longer than its own deadlines. */
  storeMs: number
  /** Between tries to learn the outcome of an append: doubled each time, up to sixteenfold. */
  retryMs: number
  /** How many entries are written, or read, at once. */
  groupEntries: number
}

export interface WriterParts {
  store: EventStore
  head: LedgerHead
  limits: WriterLimits
  /** Aborted when the broker shuts down: what is not known then stays unknown. */
  closing: AbortSignal
  /** Called with the reason when the outcome of an append is unknown, once until one succeeds. */
  onDoubt: ((reason: string) => void) | undefined
}

/**
 * durable      the entries are in the ledger, in their place. The head does not know it yet.
 * overtaken    the place is held, so what of ours is not there can never be written there. The head has taken over what is:
 *              others' entries, behind the first `written` of ours, of an append that was cut off in the middle.
 * unconfirmed  they were not written; or the outcome is unknown, and the broker shuts down.
 * changed      the ledger was changed under us: nothing may be appended to it.
 * lost         the store can no longer be appended to, and its reason says what to do.
 */
export type WriteOutcome =
  | { kind: 'durable' }
  | { kind: 'overtaken'; written: number }
  | { kind: 'unconfirmed'; error: LedgerError }
  | { kind: 'changed'; reason: string }
  | { kind: 'lost'; reason: string }

export interface Trouble {
  reason: string
  /** By performance.now(). */
  at: number
}

/**
 * An append whose outcome is unknown is repeated, the same bytes at the same place, until the store says either
 * "written" or "another broker's entries are there": only then can it no longer be written later.
 */
export class LedgerWriter {
  private latest: Trouble | undefined
  private doubtReported = false

  constructor(private readonly parts: WriterParts) {}

  /** What the last try met; undefined once a later one went well. */
  get trouble(): Trouble | undefined {
    return this.latest
  }

  /** `entries` follow from the head. Nothing else may be written meanwhile. */
  async write(entries: readonly EntryToAppend[]): Promise<WriteOutcome> {
    try {
      const outcome = await this.outcomeOf(entries)
      if (outcome.kind === 'durable') {
        this.latest = undefined
        this.doubtReported = false
      }
      return outcome
    } catch (error) {
      // An entry from the future, or a clock that cannot be believed: what is there is not taken over.
      if (error instanceof LedgerError) return { kind: 'unconfirmed', error }
      if (!(error instanceof LedgerChanged)) throw error
      return { kind: 'changed', reason: error.message }
    }
  }

  private async outcomeOf(entries: readonly EntryToAppend[]): Promise<WriteOutcome> {
    const { store, head, closing } = this.parts
    for (let attempt = 0, inDoubt = false; ; attempt += 1) {
      try {
        await this.within(store.append(entries, head.size))
        return { kind: 'durable' }
      } catch (error) {
        const code = codeOf(error)
        if (code === 'conflict') {
          const found = await this.foundThere(entries)
          if (found) return found
          // Another append holds the place and is not committed: it may still be taken back. Only the same bytes may be
          // tried again, since an earlier try of ours may be that append.
          this.note(error)
          if (closing.aborted) return { kind: 'unconfirmed', error: ledgerError(error) }
          await this.pause(attempt)
          continue
        }
        if (isDamage(error)) return { kind: 'lost', reason: error.message }
        this.note(error)
        if (!inDoubt && code === 'unknown') this.reportDoubt(error)
        inDoubt ||= code === 'unknown'
        // When no try is in doubt, nothing of this was ever written: the callers may know at once.
        if (!inDoubt || closing.aborted) return { kind: 'unconfirmed', error: ledgerError(error) }
        await this.pause(attempt)
      }
    }
  }

  /**
   * After a conflict: what stands where we wanted to write? Ours, where an earlier try's answer was lost, or others'.
   * Undefined: nothing that can be read yet. A cluster refuses our append from the moment it has accepted another one,
   * and shows that one only once it is committed.
   */
  private async foundThere(ours: readonly EntryToAppend[]): Promise<WriteOutcome | undefined> {
    const { head } = this.parts
    const unsignedAfter = performance.now() + UNSIGNED_FOR_MS
    for (let attempt = 0; ; attempt += 1) {
      try {
        const there = await this.readFromHead(ours.length)
        if (there.length === 0) return undefined
        const written = sameAtTheStart(there, ours)
        if (written === ours.length) return { kind: 'durable' }
        // Chained by this broker: the signature of its next append covers them.
        if (written > 0) head.advance(ours.slice(0, written))
        const before = head.size
        const unsigned = await this.takeOver(there.slice(written))
        if (written > 0 || head.size > before) return { kind: 'overtaken', written }
        const problem = new StoreError('unavailable', unsignedEntries(before, unsigned))
        this.note(problem)
        if (performance.now() > unsignedAfter || this.parts.closing.aborted)
          return { kind: 'unconfirmed', error: ledgerError(problem) }
        await this.pause(attempt)
      } catch (error) {
        if (error instanceof LedgerChanged) throw error
        // What is there is not taken over, and holds the place for good: ours can never be written there.
        if (error instanceof LedgerError) return { kind: 'unconfirmed', error }
        if (isDamage(error)) throw new LedgerChanged(error.message, { cause: error })
        this.note(error)
        // The place is taken, so nothing can be written there later: the next successful read decides.
        if (codeOf(error) === 'refused' || this.parts.closing.aborted)
          return { kind: 'unconfirmed', error: ledgerError(error) }
        await this.pause(attempt)
      }
    }
  }

  /** `atLeast` entries, or as many as there are. Rejects with LedgerChanged where the entry before them is gone. */
  private async readFromHead(atLeast: number): Promise<Stored[]> {
    const { size } = this.parts.head
    const there: Stored[] = []
    while (there.length < atLeast) {
      const page = await this.readPage(size + there.length)
      if (page.length === 0) break
      there.push(...page)
    }
    if (there.length === 0 && size > 0 && (await this.readPage(size - 1)).length === 0)
      throw new LedgerChanged(`the ledger has fewer than the ${size} entries it had before`)
    return there
  }

  /**
   * `there`, and what can be read after it, as far as it is signed; what is written later is met by the next append.
   * Resolves with how many entries are left that no broker signed.
   */
  private async takeOver(there: readonly Stored[]): Promise<number> {
    const { head, limits } = this.parts
    for (let page = there; ;) {
      const taken = head.follow(page)
      const unsigned = page.slice(taken)
      // No append has more entries than that.
      const more = unsigned.length >= limits.groupEntries ? [] : await this.readOn(unsigned.length)
      if (more.length === 0) return unsigned.length
      page = [...unsigned, ...more]
    }
  }

  /** What is behind the head and `skipped` entries. */
  private async readOn(skipped: number): Promise<Stored[]> {
    try {
      return await this.readPage(this.parts.head.size + skipped)
    } catch (error) {
      if (codeOf(error) === 'refused') throw error
      this.note(error)
      return []
    }
  }

  private readPage(from: number): Promise<Stored[]> {
    return this.within(this.parts.store.read(from, this.parts.limits.groupEntries))
  }

  private reportDoubt(error: unknown): void {
    if (!this.doubtReported) this.parts.onDoubt?.((error as Error).message)
    this.doubtReported = true
  }

  private note(error: unknown): void {
    this.latest = { reason: (error as Error).message, at: performance.now() }
  }

  private within<T>(work: Promise<T>): Promise<T> {
    const late = () => new StoreError('unknown', 'the store did not answer in time')
    return deadline(this.parts.limits.storeMs, work, late)
  }

  private pause(attempt: number): Promise<void> {
    const ms = this.parts.limits.retryMs * 2 ** Math.min(attempt, 4)
    return new Promise((resolve) => setTimeout(resolve, ms))
  }
}

/** How many of `ours` are there, from the first one on. */
function sameAtTheStart(there: readonly Stored[], ours: readonly EntryToAppend[]): number {
  const other = ours.findIndex(({ text }, i) => there[i]?.text !== text)
  return other < 0 ? ours.length : other
}

function isDamage(error: unknown): error is StoreError {
  return error instanceof StoreError && error.damage
}

function codeOf(error: unknown): StoreError['code'] {
  // An error the store does not name may have struck after the write: it counts as unknown.
  return error instanceof StoreError ? error.code : 'unknown'
}

function ledgerError(error: unknown): LedgerError {
  const { message } = error as Error
  const code = codeOf(error) === 'refused' ? 'failed' : 'unavailable'
  return new LedgerError(code, message, { cause: error })
}
