import type { Stored } from '../event-store/event-store.js'
import type { LedgerHead } from './ledger-head.js'

/** How long the live follow may take to bring what another broker was faster with. Then the store is asked. */
const FOLLOWED_WITHIN_MS = 250

/** What the live follow brought and the head did not take over yet, some of it from before the head. */
export class Observed {
  private waiting: Stored[] = []
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
    this.whenAdded?.()
  }

  /** The head takes over what is there. Throws LedgerChanged where it does not follow from the head. */
  takeOver(): void {
    const { size } = this.head
    const foreign = this.waiting.filter(({ index }) => index >= size)
    this.waiting = []
    if (foreign.length > 0) this.head.follow(foreign)
  }

  /** Whether the entry after the head is there, or comes within a moment. */
  async bringsNextSoon(): Promise<boolean> {
    if (!this.hasNext()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, FOLLOWED_WITHIN_MS)
        this.whenAdded = () => {
          if (!this.hasNext()) return
          clearTimeout(timer)
          resolve()
        }
      })
      this.whenAdded = undefined
    }
    return this.hasNext()
  }

  private hasNext(): boolean {
    return this.waiting.some(({ index }) => index === this.head.size)
  }
}
