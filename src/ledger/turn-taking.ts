// The appender's manners, on the clock: waits for our turn, and listens to who appends.

import type { Stored } from '../event-store/event-store.js'
import type { Turns } from './turns.js'

/**
 * How an append ended: with its last entry at that index; `lost`, since somebody else's was written in its place; or
 * `failed`: it was not confirmed.
 */
export type AppendEnd = number | 'lost' | 'failed'

/** What the appender asks and tells where others write to the same ledger. */
export interface Sharing {
  /** Nobody else has appended lately. */
  readonly alone: boolean
  /** Resolves when it is this broker's turn, at the latest after a slot for each active broker. Undefined: it is. */
  beforeAppend(): Promise<void> | undefined
  /** Of the append that followed. */
  afterAppend(end: AppendEnd): void
  /** Entries that others may have written. May be told again. */
  saw(batch: readonly Stored[]): void
}

export class TurnTaking implements Sharing {
  private startedAt = 0
  /** Our append that did not come back by the live follow yet. */
  private underway: { lastIndex: number; startedAt: number } | undefined
  private ownSeen = -1
  private wake: (() => void) | undefined
  /** Group appends this broker tried, those that others were faster than, and those that were not confirmed. For metrics. */
  appends = 0
  lost = 0
  failed = 0

  constructor(
    private readonly turns: Turns,
    private readonly me: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get alone(): boolean {
    return this.turns.others === 0
  }

  beforeAppend(): Promise<void> | undefined {
    const ms = this.turns.holdBackMs(this.now())
    if (ms > 0) return this.waitForTurn(ms)
    this.startedAt = this.now()
    return undefined
  }

  afterAppend(end: AppendEnd): void {
    this.appends += 1
    if (typeof end === 'string') {
      this[end] += 1
      if (end === 'lost') this.turns.lost(this.now())
      return
    }
    if (end <= this.ownSeen) this.turns.took(this.now() - this.startedAt)
    else this.underway ??= { lastIndex: end, startedAt: this.startedAt }
    this.turns.saw(this.me, end, this.now())
  }

  /** Entries as the live follow brings them, or as a lost append found them. */
  saw(batch: readonly Stored[]): void {
    const at = this.now()
    for (const { by, index, upTo = index } of batch) {
      // An append arrives in pieces, and nobody's turn comes before its last one: whoever went earlier would be too
      // early for sure. Our own were told by afterAppend, at their real time.
      if (by === undefined || index < upTo) continue
      if (by === this.me) this.sawOwn(index, at)
      else this.turns.saw(by, index, at)
    }
    // Each append moves everybody up by one: whoever waits reckons anew.
    this.wake?.()
  }

  /** An append has taken as long as it takes the others to see it: a slot must leave time for that. */
  private sawOwn(index: number, at: number): void {
    this.ownSeen = Math.max(this.ownSeen, index)
    if (!this.underway || index < this.underway.lastIndex) return
    this.turns.took(at - this.underway.startedAt)
    this.underway = undefined
  }

  private async waitForTurn(first: number): Promise<void> {
    for (let ms = first; ms > 0; ms = this.turns.holdBackMs(this.now())) await this.sleep(ms)
    this.startedAt = this.now()
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
