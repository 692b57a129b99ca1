// Schedules appends among brokers: the timer side of AppendScheduler.

import type { Stored } from '../event-store.js'
import type { AppendScheduler } from './append-scheduler.js'

/**
 * How an append ended: the index of its last entry; `lost`: another broker's append took its place; `failed`: it was not
 * confirmed.
 */
export type AppendEnd = number | 'lost' | 'failed'

export class AppendTimer {
  private startedAt = 0
  /** Our append that the live follow has not delivered yet. */
  private underway: { lastIndex: number; startedAt: number } | undefined
  private ownSeen = -1
  /** Our last append was not confirmed; it may be there all the same. */
  private unconfirmed = false
  private wake: (() => void) | undefined
  /** Appends tried, lost to another broker, and not confirmed. For metrics. */
  appends = 0
  lost = 0
  failed = 0

  constructor(
    private readonly scheduler: AppendScheduler,
    private readonly me: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** No other broker has appended lately. */
  get alone(): boolean {
    return this.scheduler.others === 0
  }

  /** Resolves when this broker may append, at the latest after one slot for each active peer. Undefined: append now. */
  beforeAppend(): Promise<void> | undefined {
    const ms = this.scheduler.backOffMs(this.now())
    if (ms > 0) return this.waitForTurn(ms)
    this.startedAt = this.now()
    return undefined
  }

  /** Reports the append that followed. */
  afterAppend(end: AppendEnd): void {
    this.appends += 1
    this.unconfirmed = end === 'failed'
    if (typeof end === 'string') {
      this[end] += 1
      if (end === 'lost') this.scheduler.appendLost(this.now())
      return
    }
    if (end <= this.ownSeen) this.scheduler.appendTook(this.now() - this.startedAt)
    else this.underway ??= { lastIndex: end, startedAt: this.startedAt }
    this.scheduler.observed(this.me, end, this.now())
  }

  /** Entries that the live follow delivered, or that a lost append found. Idempotent. */
  saw(batch: readonly Stored[]): void {
    const at = this.now()
    for (const { by, index, upTo = index } of batch) {
      // An append arrives in pieces; the next slot begins after its last piece. Our own appends are reported by
      // afterAppend, at their real time.
      if (by === undefined || index < upTo) continue
      if (by === this.me) this.sawOwn(index, at)
      else this.scheduler.observed(by, index, at)
    }
    // Each append moves every broker up by one, so a waiting append computes its back-off again.
    this.wake?.()
  }

  /** An append's time lasts until the follow delivers it: a slot must leave the others time to see it. */
  private sawOwn(index: number, at: number): void {
    this.ownSeen = Math.max(this.ownSeen, index)
    if (this.unconfirmed) this.scheduler.observed(this.me, index, at)
    if (!this.underway || index < this.underway.lastIndex) return
    this.scheduler.appendTook(at - this.underway.startedAt)
    this.underway = undefined
  }

  private async waitForTurn(first: number): Promise<void> {
    for (let ms = first; ms > 0; ms = this.scheduler.backOffMs(this.now())) await this.sleep(ms)
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
