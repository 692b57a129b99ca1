import { MOST_UNSIGNED, unsignedEntries } from '../../domain/ledger/unsigned.js'
import type { Stored } from '../../event-store/event-store.js'
import { LedgerChanged, type LedgerHead } from '../ledger-head.js'

/** How long to wait for the live follow to deliver another broker's append. After that the store is read. */
const FOLLOW_TIMEOUT_MS = 250

/** Entries kept at most while a time check keeps them from being taken over. */
const MAX_BUFFERED = 10_000

/** Entries that the live follow delivered and the head has not taken over yet; some may be older than the head. */
export class ReplicationBuffer {
  private waiting: Stored[] = []
  /** Waiting entries that were checked and are not signed. */
  private tried = 0
  private unsignedSince: number | undefined
  private forgot = false
  private whenAdded: (() => void) | undefined

  constructor(private readonly head: LedgerHead) {}

  /** In order; known entries are skipped. */
  add(batch: readonly Stored[]): void {
    let next = (this.waiting.at(-1)?.index ?? this.head.size - 1) + 1
    for (const stored of batch) {
      if (stored.index < next) continue
      this.waiting.push(stored)
      next = stored.index + 1
    }
    // What is dropped here is read from the store when the next append conflicts with it.
    if (this.waiting.length > MAX_BUFFERED) this.forget()
    this.whenAdded?.()
  }

  /** The head takes over signed entries. Returns whether it advanced. Throws what LedgerHead.follow throws. */
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

  /** The problem, when entries have waited longer than `ms` for a signature. */
  unsignedFor(ms: number): string | undefined {
    if (this.unsignedSince === undefined || performance.now() - this.unsignedSince < ms) return undefined
    return unsignedEntries(this.head.size, this.waiting.length)
  }

  /** Resolves whether the head advanced, now or within FOLLOW_TIMEOUT_MS. Rejects with what LedgerHead.follow throws. */
  async waitForMore(): Promise<boolean> {
    if (this.takeOver()) return true
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<boolean>((resolve, reject) => {
        timer = setTimeout(() => resolve(false), FOLLOW_TIMEOUT_MS)
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
