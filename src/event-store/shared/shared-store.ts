// A store to which several brokers append. It is followed all the time, decides whose turn it is, and after a lost append
// answers from what the live follow delivered. docs/scaling.md, "Append scheduling".

import { type EntryToAppend, EventStore, StoreError, type Stored } from '../event-store.js'
import { AppendScheduler } from './append-scheduler.js'
import { AppendTimer } from './append-timer.js'
import { readAhead } from './read-ahead.js'
import { RecentEntries } from './recent-entries.js'

/** How long to wait for the live follow to deliver another broker's append. After that the store is read. */
const FOLLOW_TIMEOUT_MS = 250

export interface SharedStoreOptions {
  /** The node id of this broker: distinguishes its own appends from those of others. */
  node: string
  /** The ledger's size when it was opened: what was written before says nothing about whose turn it is. */
  size: number
}

/** `settled`: its end was reported to the timer. `in doubt`: the store's answer was lost, so it may be there. */
type AppendState = 'none' | 'in doubt' | 'settled'

/**
 * Wraps the store of a ledger that other brokers append to as well. The consumer of `follow` reads at its own pace;
 * the listener gets each batch when it arrives.
 */
export class SharedStore extends EventStore {
  readonly description: string
  readonly timer: AppendTimer
  private readonly recent = new RecentEntries()
  private state: AppendState = 'none'
  /** The place of an append that was lost, until what is there was read from the store. */
  private lostAt: number | undefined
  private listener: ((batch: readonly Stored[]) => void) | undefined
  /** Arrived before there was a listener. */
  private held: Stored[] = []

  constructor(
    private readonly store: EventStore,
    private readonly options: SharedStoreOptions,
  ) {
    super()
    this.description = store.description
    this.timer = new AppendTimer(new AppendScheduler(options.node), options.node)
  }

  /** Calls `listener` with all entries from the opened size on, in order; some again where a following begins again. */
  listen(listener: (batch: readonly Stored[]) => void): void {
    this.listener = listener
    if (this.held.length > 0) listener(this.held)
    this.held = []
  }

  override turn(): Promise<void> | undefined {
    if (this.state === 'in doubt') this.timer.afterAppend('failed')
    this.state = 'none'
    this.lostAt = undefined
    return this.timer.beforeAppend() ?? (this.timer.alone ? undefined : Promise.resolve())
  }

  async append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    try {
      await this.store.append(entries, expectedSize)
    } catch (error) {
      this.failed(error, expectedSize)
      throw error
    }
    this.state = 'settled'
    this.timer.afterAppend(expectedSize + entries.length - 1)
  }

  size(): Promise<number> {
    return this.store.size()
  }

  /** After a lost append the live follow delivers what is there anyway; asking the store too would slow down every broker. */
  async read(from: number, limit: number): Promise<Stored[]> {
    if (this.lostAt === from && !(await this.recent.completeFrom(from, FOLLOW_TIMEOUT_MS)))
      this.lostAt = undefined
    const delivered = this.lostAt !== undefined && from >= this.lostAt && this.recent.from(from, limit)
    if (delivered) return delivered
    const page = await this.store.read(from, limit)
    this.timer.saw(page.filter(({ index }) => index >= this.options.size))
    return page
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    return readAhead(this.store, from, signal, (batch) => this.arrived(batch))
  }

  close(): Promise<void> {
    return this.store.close()
  }

  /** An append that is repeated, because its outcome is in doubt, is reported once, when that is known. */
  private failed(error: unknown, expectedSize: number): void {
    const code = error instanceof StoreError ? error.code : 'unknown'
    if (code === 'unknown') {
      if (this.state === 'none') this.state = 'in doubt'
      return
    }
    // What is in the place of an append in doubt may be that append: only the store itself can say.
    if (this.state === 'in doubt') return
    if (code === 'conflict') this.lostAt = expectedSize
    if (this.state === 'none') this.timer.afterAppend(code === 'conflict' ? 'lost' : 'failed')
    this.state = 'settled'
  }

  private arrived(batch: readonly Stored[]): void {
    // A consumer may begin far behind.
    const live = batch.filter(({ index }) => index >= this.options.size)
    if (live.length === 0) return
    this.timer.saw(live)
    this.recent.add(live)
    if (this.listener) this.listener(live)
    else this.held.push(...live)
  }
}
