// The appender's manners, on the clock: waits for our turn, and listens to who appends.

import type { Stored } from '../event-store/event-store.js'
import type { Turns } from './turns.js'

/** What the appender asks and tells where others write to the same ledger. */
export interface Sharing {
  /** Resolves when it is this broker's turn, at the latest after a slot for each active broker. */
  beforeAppend(): Promise<void>
  /** The append that followed was written, its last entry at `lastIndex`; undefined: somebody else's was, or none. */
  afterAppend(lastIndex: number | undefined): void
}

export class TurnTaking implements Sharing {
  private startedAt = 0
  private wake: (() => void) | undefined
  /** Group appends this broker tried, and those that others were faster than. For metrics. */
  appends = 0
  lost = 0

  constructor(
    private readonly turns: Turns,
    private readonly me: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  async beforeAppend(): Promise<void> {
    for (;;) {
      const ms = this.turns.holdBackMs(this.now())
      if (ms <= 0) break
      await this.sleep(ms)
    }
    this.startedAt = this.now()
  }

  afterAppend(lastIndex: number | undefined): void {
    this.appends += 1
    if (lastIndex === undefined) {
      this.lost += 1
      return
    }
    this.turns.took(this.now() - this.startedAt)
    this.turns.saw(this.me, lastIndex, this.now())
  }

  /** Entries as the live follow brings them. */
  saw(batch: readonly Stored[]): void {
    const at = this.now()
    for (const { by, index, upTo = index } of batch) {
      // An append arrives in pieces, and nobody's turn comes before its last one: whoever went earlier would be too
      // early for sure. Our own were told by afterAppend, at their real time.
      if (by !== undefined && by !== this.me && index >= upTo) this.turns.saw(by, index, at)
    }
    // Each append moves everybody up by one: whoever waits reckons anew.
    this.wake?.()
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.wake = undefined
        resolve()
      }
      const timer = setTimeout(done, Math.ceil(ms))
      this.wake = done
    })
  }
}
