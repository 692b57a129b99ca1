// What other brokers append, as it happens, for the appender and for taking turns.

import type { Stored } from '../event-store/event-store.js'
import type { Appender } from './appender.js'
import { TurnTaking } from './turn-taking.js'
import { Turns } from './turns.js'

export class LiveFollow {
  readonly turns: TurnTaking
  private appender: Appender | undefined
  /** Came before there was an appender to take it. */
  private held: Stored[] = []

  /** `size`: the ledger's when it was opened, which is the appender's own beginning. */
  constructor(
    nodeId: string,
    private readonly size: number,
  ) {
    this.turns = new TurnTaking(new Turns(nodeId), nodeId)
  }

  /** For ReadAheadStore. */
  readonly watch = (batch: readonly Stored[]): void => {
    // The read models may begin far behind: what was written before our start tells nothing about turns.
    const live = batch.filter(({ index }) => index >= this.size)
    if (live.length === 0) return
    this.turns.saw(live)
    if (this.appender) this.appender.observe(live)
    else this.held.push(...live)
  }

  attach(appender: Appender): void {
    this.appender = appender
    appender.observe(this.held)
    this.held = []
  }
}
