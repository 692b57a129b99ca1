// The one writer of the ledger in this process: chains what callers hand in and commits it in groups.

import { EntryError, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { type Chained, chainGroup, refuse, settle, settlePart, type Waiting } from './group.js'
import { type KeyStates, keysAfter } from './key-states.js'
import { LedgerError } from '../domain/ledger-error.js'
import { linked } from './open-ledger.js'
import type { Sharing } from './turn-taking.js'

export interface AppenderLimits {
  /** How many callers may wait. The next one is told to come back. */
  waiting: number
  /** How long a caller waits before it is told that the outcome is unknown. */
  callerMs: number
  /** How long one append to the store may take before its outcome counts as unknown. */
  storeMs: number
  /** One group: bounded so that every store can write it at once. */
  groupEntries: number
  groupBytes: number
  /** Between tries to learn the outcome of an append: doubled each time, up to sixteenfold. */
  retryMs: number
}

export const DEFAULT_LIMITS: AppenderLimits = {
  waiting: 4096,
  callerMs: 10_000,
  storeMs: 8_000,
  groupEntries: 500,
  groupBytes: 512 * 1024,
  retryMs: 50,
}

const TROUBLE_MS = 5_000

/** How long the live follow may take to bring what another broker was faster with. Then the store is asked. */
const FOLLOWED_WITHIN_MS = 250

export type AppenderStatus = { ok: true } | { ok: false; reason: string }

/** What happens after entries became durable, ours or another broker's, and before their callers hear of it. */
export type Committed = (entries: readonly Sealed[]) => void

export interface AppenderOptions {
  /** The issuer's keys as of the head; without them events about keys are not looked at. */
  keys?: KeyStates
  /** Where other brokers write to the same ledger. */
  sharing?: Sharing
}

/**
 * Group commit: everything that arrives while one append runs goes into the next one, in arrival order.
 *
 * A caller hears "appended" only after the store has said so, or after its entries were read back. An append whose
 * outcome is unknown is repeated, the same bytes at the same place, until the store says either "written" or "somebody
 * else's entries are there": only then can it no longer be written later. Nothing else is appended meanwhile.
 */
export class Appender {
  private readonly queue: Waiting[] = []
  private pumping: Promise<void> | undefined
  private halted: LedgerError | undefined
  private trouble: { reason: string; at: number } | undefined
  private closed = false
  private keys: KeyStates | undefined
  private readonly sharing: Sharing | undefined
  private appending = false
  /** What the live follow brought and is not taken over yet, from our head on or before it. */
  private observed: Stored[] = []
  private whenObserved: (() => void) | undefined

  constructor(
    private readonly store: EventStore,
    private head: Sealed | undefined,
    private readonly now: () => Date,
    private readonly committed: Committed = () => undefined,
    private readonly limits: AppenderLimits = DEFAULT_LIMITS,
    { keys, sharing }: AppenderOptions = {},
  ) {
    this.keys = keys
    this.sharing = sharing
  }

  /** How many entries are known to be durable. */
  get size(): number {
    return this.head ? this.head.entry.index + 1 : 0
  }

  /** The last durable entry. */
  get last(): Sealed | undefined {
    return this.head
  }

  /** The system's time, never behind the ledger's: what ids and entry times are drawn from. */
  clock(): Date {
    const now = this.now()
    return this.head && this.head.entry.time > now.toISOString() ? new Date(this.head.entry.time) : now
  }

  /** Trouble is forgotten after a while without appends: else a broker taken out of service would never be asked again. */
  status(): AppenderStatus {
    if (this.halted) return { ok: false, reason: this.halted.message }
    const recent = this.trouble && (this.pumping || this.now().getTime() - this.trouble.at < TROUBLE_MS)
    return this.trouble && recent ? { ok: false, reason: this.trouble.reason } : { ok: true }
  }

  /** Resolves with the entries of `events`, together and in order, once they are durable. Rejects with LedgerError. */
  append(events: readonly LedgerEvent[]): Promise<Sealed[]> {
    if (this.halted) return Promise.reject(this.halted)
    if (this.closed) return Promise.reject(new LedgerError('unavailable', 'the broker is shutting down'))
    if (this.queue.length >= this.limits.waiting) {
      return Promise.reject(new LedgerError('unavailable', 'too many callers wait for the ledger'))
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { events, settled: false, resolve, reject }
      this.queue.push(waiting)
      this.giveUpLater(waiting)
      this.pumping ??= this.pump()
    })
  }

  /**
   * Entries as the live follow brings them, ours among them: so the head, the tree and the checkpoints follow what other
   * brokers write. In order; what is known already is skipped. While an append is under way its outcome comes first.
   */
  observe(batch: readonly Stored[]): void {
    if (this.halted) return
    let next = (this.observed.at(-1)?.index ?? this.size - 1) + 1
    for (const stored of batch) {
      if (stored.index < next) continue
      this.observed.push(stored)
      next = stored.index + 1
    }
    this.whenObserved?.()
    if (!this.appending) this.takeObserved()
  }

  /** Waits for what is under way. Nothing can be appended any more. */
  async close(): Promise<void> {
    this.closed = true
    await this.pumping
  }

  private giveUpLater(waiting: Waiting): void {
    const timer = setTimeout(() => {
      const message = 'the ledger did not confirm in time: the outcome is unknown, nothing is handed out'
      refuse(waiting, new LedgerError('unavailable', message))
    }, this.limits.callerMs)
    const { resolve, reject: fail } = waiting
    waiting.resolve = (entries) => (clearTimeout(timer), resolve(entries))
    waiting.reject = (error) => (clearTimeout(timer), fail(error))
  }

  private async pump(): Promise<void> {
    // A turn of the event loop, so that callers of the same moment share the first group too.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.queue.length > 0 && !this.halted) {
      await this.sharing?.beforeAppend()
      if (this.halted) break
      await this.commit(this.takeGroup())
      if (!this.halted) this.takeObserved()
    }
    this.pumping = undefined
    if (this.halted) for (const waiting of this.queue.splice(0)) refuse(waiting, this.halted)
  }

  private takeGroup(): Waiting[] {
    let entries = 0
    let taken = 0
    for (const waiting of this.queue) {
      entries += waiting.events.length
      if (taken > 0 && entries > this.limits.groupEntries) break
      taken += 1
    }
    // Whoever has given up meanwhile was never in an append: its events are dropped, not written.
    return this.queue.splice(0, taken).filter(({ settled }) => !settled)
  }

  private async commit(group: Waiting[]): Promise<void> {
    const chained = this.chained(group)
    const entries = chained.flatMap(({ entries }) => entries)
    if (entries.length === 0) return
    this.appending = true
    const written = await this.write(chained, entries)
    this.appending = false
    if (!written) this.sharing?.afterAppend(undefined)
  }

  /** False: nothing of it was written, or nobody knows; then the callers were told, or stand in the queue again. */
  private async write(chained: Chained[], entries: Sealed[]): Promise<boolean> {
    for (let attempt = 0, inDoubt = false; ; attempt += 1) {
      try {
        await this.within(this.store.append(entries, this.size))
        this.confirm(chained)
        return true
      } catch (error) {
        const code = codeOf(error)
        if (code === 'conflict') {
          const ours = await this.foundThere(entries, inDoubt)
          if (ours === entries.length) this.confirm(chained)
          else if (this.halted) refuseAll(chained, this.halted)
          // The place is taken, so what of ours is not there can never be written there: it is chained anew.
          else this.queue.unshift(...settlePart(chained, ours))
          return ours === entries.length
        }
        this.trouble = { reason: (error as Error).message, at: this.now().getTime() }
        inDoubt ||= code === 'unknown'
        // When no try is in doubt, nothing of this was ever written: the callers may know at once.
        if (!inDoubt || this.closed) {
          refuseAll(chained, ledgerError(error))
          return false
        }
        await this.pause(attempt)
      }
    }
  }

  /** Chained onto the head. For whom there was no room is first in the queue again. */
  private chained(group: Waiting[]): Chained[] {
    const head = { last: this.head, keys: this.keys, now: this.now() }
    const { chained, rest } = chainGroup(group, head, this.limits.groupBytes)
    this.queue.unshift(...rest)
    return chained
  }

  /** The entries are durable at this line. */
  private confirm(chained: Chained[]): void {
    this.trouble = undefined
    this.advance(chained.flatMap(({ entries }) => entries))
    this.sharing?.afterAppend(this.size - 1)
    for (const each of chained) settle(each)
  }

  private advance(entries: readonly Sealed[]): void {
    this.head = entries.at(-1) ?? this.head
    this.keys = keysAfter(this.keys, entries)
    this.committed(entries)
  }

  /** Takes over what others appended. */
  private takeObserved(): void {
    const { size } = this
    const foreign = this.observed.filter(({ index }) => index >= size)
    this.observed = []
    if (foreign.length === 0) return
    try {
      this.advance(linked(this.head, foreign))
    } catch (error) {
      if (!(error instanceof EntryError)) throw error
      this.halt(`an entry in the ledger is damaged: ${error.message}`)
    }
  }

  /**
   * After a conflict: what stands where we wanted to write, and how many of it are ours, from an earlier try whose answer
   * was lost? Unless all are, it is taken over as the new head; if it does not follow from our head, or nothing is there,
   * the ledger was changed under us: halt.
   */
  private async foundThere(ours: readonly Sealed[], inDoubt: boolean): Promise<number> {
    // The live follow brings it anyway, and asking the store for it as well would slow down everybody.
    if (!inDoubt && (await this.observedSoon())) {
      this.takeObserved()
      return 0
    }
    let same: number | undefined
    for (let attempt = 0; ; attempt += 1) {
      try {
        // Once the head has moved on, nothing behind it is as good an answer as any.
        const there = await this.readFromHead(same === undefined ? ours.length : 1)
        if (same === undefined && there.length === 0)
          return this.halt(`the ledger has fewer than the ${this.size} entries it had before`)
        same ??= sameAtTheStart(there, ours)
        if (same < ours.length) await this.takeOver(there)
        return same
      } catch (error) {
        if (error instanceof EntryError)
          return this.halt(`an entry in the ledger is damaged: ${error.message}`)
        if (codeOf(error) === 'refused') return this.halt((error as Error).message)
        this.trouble = { reason: (error as Error).message, at: this.now().getTime() }
        if (this.closed) return this.halt('the broker is shutting down')
        await this.pause(attempt)
      }
    }
  }

  /** Whether the live follow has brought what stands after our head, or does so within a moment. */
  private async observedSoon(): Promise<boolean> {
    if (this.sharing && !this.isNextObserved()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, FOLLOWED_WITHIN_MS)
        this.whenObserved = () => {
          if (!this.isNextObserved()) return
          clearTimeout(timer)
          resolve()
        }
      })
      this.whenObserved = undefined
    }
    return this.isNextObserved()
  }

  private isNextObserved(): boolean {
    return this.observed.some(({ index }) => index === this.size)
  }

  private async readFromHead(atLeast: number): Promise<Stored[]> {
    const there: Stored[] = []
    while (there.length < atLeast) {
      const page = await this.within(this.store.read(this.size + there.length, this.limits.groupEntries))
      if (page.length === 0) break
      there.push(...page)
    }
    return there
  }

  private async takeOver(there: Stored[]): Promise<void> {
    for (let page = there; page.length > 0;) {
      this.advance(linked(this.head, page))
      this.sharing?.saw(page)
      page = await this.within(this.store.read(this.size, this.limits.groupEntries))
    }
  }

  private halt(reason: string): 0 {
    this.halted = new LedgerError('failed', `${reason}; run verify-ledger, then restore the ledger`)
    return 0
  }

  private async within<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(
        () => fail(new StoreError('unknown', 'the store did not answer in time')),
        this.limits.storeMs,
      )
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }

  private pause(attempt: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.limits.retryMs * 2 ** Math.min(attempt, 4)))
  }
}

function refuseAll(chained: readonly Chained[], error: LedgerError): void {
  for (const { waiting } of chained) refuse(waiting, error)
}

function sameAtTheStart(there: readonly Stored[], ours: readonly Sealed[]): number {
  const other = ours.findIndex(({ text }, i) => there[i]?.text !== text)
  return other < 0 ? ours.length : other
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
