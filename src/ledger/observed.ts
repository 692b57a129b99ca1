import { MOST_UNSIGNED, unsignedEntries } from '../domain/ledger/unsigned.js'
import type { Stored } from '../event-store/event-store.js'
import { LedgerChanged, type LedgerHead } from './ledger-head.js'

/** How long the live follow may take to bring what another broker was faster with. Then the store is asked. */
const FOLLOWED_WITHIN_MS = 250

/** More are not kept while they may not be taken over, because of their time or of this broker's clock. */
const MOST_WAITING = 10_000

/** What the live follow brought and the head did not take over yet, some of it from before the head. */
export class Observed {
  private waiting: Stored[] = []
  /** How many of those waiting were looked at and are not signed. */
  private tried = 0
  private unsignedSince: number | undefined
  private forgot = false
  private whenAdded: (() => void) | undefined

  constructor(private readonly head: LedgerHead) {}

  /** In order; what is known already is skipped. */
  add(batch: readonly Stored[]): void {
    let next = (this.waiting.at(-1)?.index ?? this.head.size - 1) + 1
    for (const stored of batch) {
      if (stored.index < next) continue
      this.waiting.push(stored)
      next = stored.index + 1
    }
    // What is dropped here is read from the store when the next append conflicts with it.
    if (this.waiting.length > MOST_WAITING) this.forget()
    this.whenAdded?.()
  }

  /** The head takes over what is there and signed: whether it is further on now. Throws as LedgerHead.follow does. */
  takeOver(): boolean {
    const { size } = this.head
    const known = this.waiting.findIndex(({ index }) => index >= size)
    const foreign = known < 0 ? [] : this.waiting.slice(known)
    if (this.forgot && (foreign[0]?.index ?? size) > size) return this.forget()
    this.forgot = false
    const tried = known > 0 ? 0 : Math.min(this.tried, foreign.length)
    const taken = foreign.slice(tried).some(({ signature }) => signature !== undefined)
      ? this.head.follow(foreign, tried)
      : 0
    this.waiting = foreign.slice(taken)
    this.tried = this.waiting.length
    if (this.tried > MOST_UNSIGNED) throw new LedgerChanged(unsignedEntries(this.head.size, this.tried))
    if (this.tried === 0) this.unsignedSince = undefined
    else this.unsignedSince ??= performance.now()
    return taken > 0
  }

  private forget(): false {
    this.waiting = []
    this.forgot = true
    return false
  }

  /** What is wrong where entries have waited for a signature for longer than `ms`. */
  unsignedFor(ms: number): string | undefined {
    if (this.unsignedSince === undefined || performance.now() - this.unsignedSince < ms) return undefined
    return unsignedEntries(this.head.size, this.waiting.length)
  }

  /** Whether the head is further on, now or within a moment. Rejects as LedgerHead.follow throws. */
  async bringsMoreSoon(): Promise<boolean> {
    if (this.takeOver()) return true
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<boolean>((resolve, reject) => {
        timer = setTimeout(() => resolve(false), FOLLOWED_WITHIN_MS)
        this.whenAdded = () => {
          try {
            if (this.takeOver()) resolve(true)
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)))
          }
        }
      })
    } finally {
      clearTimeout(timer)
      this.whenAdded = undefined
    }
  }
}
