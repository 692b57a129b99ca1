// Entries that other brokers append, live, for the appender and the append timer.

import type { Stored } from '../../event-store/event-store.js'
import type { Appender } from '../appender.js'
import { AppendTimer } from './append-timer.js'
import { AppendScheduler } from './append-scheduler.js'

export class LiveFollow {
  readonly timer: AppendTimer
  private appender: Appender | undefined
  /** Arrived before the appender was attached. */
  private held: Stored[] = []

  /** `size`: the ledger's size when it was opened, where the appender starts. */
  constructor(
    nodeId: string,
    private readonly size: number,
  ) {
    this.timer = new AppendTimer(new AppendScheduler(nodeId), nodeId)
  }

  /** For ReadAheadStore. */
  readonly watch = (batch: readonly Stored[]): void => {
    // The read models may begin far behind: what was written before our start tells nothing about the rotation.
    const live = batch.filter(({ index }) => index >= this.size)
    if (live.length === 0) return
    this.timer.saw(live)
    if (this.appender) this.appender.observe(live)
    else this.held.push(...live)
  }

  attach(appender: Appender): void {
    this.appender = appender
    appender.observe(this.held)
    this.held = []
  }
}
