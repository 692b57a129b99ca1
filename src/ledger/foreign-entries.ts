// What other brokers append to the same ledger, for the head of this one.

import { MOST_UNSIGNED, unsignedEntries } from '../domain/ledger/unsigned.js'
import type { Stored } from '../event-store/event-store.js'
import type { Sequencer } from './sequencer.js'
import { LedgerChanged, type LedgerHead } from './ledger-head.js'

/** Entries kept at most while a time check keeps them from being taken over. */
const MAX_BUFFERED = 10_000

/**
 * Entries that the live follow delivered and the head has not taken over yet; some may be older than the head, since our
 * own are among them. The head, the tree and the checkpoints follow what others write also while nothing is appended here.
 */
export class ForeignEntries {
  private waiting: Stored[] = []
  /** Waiting entries that were checked and are not signed. */
  private tried = 0
  private unsignedSince: number | undefined
  private forgot = false

  constructor(private readonly sequencer: Sequencer) {}

  /** In order; known entries are skipped. While an append is under way its outcome comes first. */
  add(batch: readonly Stored[]): void {
    let next = (this.waiting.at(-1)?.index ?? this.sequencer.size - 1) + 1
    for (const stored of batch) {
      if (stored.index < next) continue
      this.waiting.push(stored)
      next = stored.index + 1
    }
    // What is dropped here is read from the store when the next append conflicts with it.
    if (this.waiting.length > MAX_BUFFERED) this.forget()
    this.sequencer.betweenAppends(this.takeOver)
  }

  /** The problem, when entries have waited longer than `ms` for a signature. */
  unsignedFor(ms: number): string | undefined {
    if (this.unsignedSince === undefined || performance.now() - this.unsignedSince < ms) return undefined
    return unsignedEntries(this.sequencer.size, this.waiting.length)
  }

  /** The head takes over signed entries. Throws what LedgerHead.follow throws. */
  private readonly takeOver = (head: LedgerHead): void => {
    const { size } = head
    const known = this.waiting.findIndex(({ index }) => index >= size)
    const foreign = known < 0 ? [] : this.waiting.slice(known)
    if (this.forgot && (foreign[0]?.index ?? size) > size) return this.forget()
    this.forgot = false
    const tried = known > 0 ? 0 : Math.min(this.tried, foreign.length)
    const isSigned = foreign.slice(tried).some(({ signature }) => signature !== undefined)
    const taken = isSigned ? head.follow(foreign, tried) : 0
    this.waiting = foreign.slice(taken)
    this.tried = this.waiting.length
    if (this.tried > MOST_UNSIGNED) throw new LedgerChanged(unsignedEntries(head.size, this.tried))
    if (this.tried === 0) this.unsignedSince = undefined
    else this.unsignedSince ??= performance.now()
  }

  private forget(): void {
    this.waiting = []
    this.forgot = true
  }
}
