import { EventEmitter, once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { type EntryToAppend, EventStore, type Stored, toStored } from './event-store.js'
import { type StoreThread, storeThread } from './store-thread.js'

/** An entry without its place. */
export type Row = Omit<Stored, 'index'>

/** What sqlite.worker.ts is asked. It answers with the size, or with rows. */
export type Question =
  | { op: 'append'; expectedSize: number; rows: Row[] }
  | { op: 'size' }
  | { op: 'read'; from: number; limit: number }

/** How many of the latest entries are handed to followers from memory instead of being read again. */
const RECENT = 4096
const PAGE = 1000
/** Many groups. V8 takes what it is allowed before it tidies up. */
const MEMORY = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 }
/** How soon entries that another process wrote into the file are noticed. */
const POLL_MS = 250

/**
 * The embedded ledger: one SQLite file, in a thread of its own, so that a slow disk holds up appends and nothing else.
 * Append-only by construction (sqlite.worker.ts), durable by WAL with synchronous=FULL.
 */
export class SqliteEventStore extends EventStore {
  readonly description: string
  private readonly thread: StoreThread<Question>
  private readonly grown = new EventEmitter().setMaxListeners(0)
  private recent: Stored[] = []

  /** `warn`: of what was found in the file and is no failure. */
  constructor(path: string, warn?: (warning: string) => void) {
    super()
    this.description = `sqlite:${path}`
    this.thread = storeThread(
      () =>
        new Worker(new URL('./sqlite.worker.js', import.meta.url), {
          workerData: path,
          resourceLimits: MEMORY,
        }),
      warn,
    )
  }

  async append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    const stored = entries.map(toStored)
    await this.thread.call({ op: 'append', expectedSize, rows: stored })
    this.remember(stored, expectedSize)
    this.grown.emit('grown')
  }

  async size(): Promise<number> {
    return (await this.thread.call({ op: 'size' })) as number
  }

  async read(from: number, limit: number): Promise<Stored[]> {
    const rows = (await this.thread.call({ op: 'read', from, limit })) as Row[]
    return rows.map((row, i) => ({ index: from + i, ...row }))
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    for (let next = from; !signal.aborted;) {
      const batch = this.fromMemory(next) ?? (await this.read(next, PAGE))
      if (batch.length > 0) {
        next += batch.length
        yield batch
      } else {
        await this.growth(signal)
      }
    }
  }

  async close(): Promise<void> {
    this.grown.emit('grown')
    await this.thread.close()
  }

  private remember(entries: readonly Stored[], first: number): void {
    const last = this.recent.at(-1)
    if (last && last.index + 1 !== first) this.recent = []
    this.recent.push(...entries)
    if (this.recent.length > 2 * RECENT) this.recent = this.recent.slice(-RECENT)
  }

  private fromMemory(next: number): Stored[] | undefined {
    const first = this.recent[0]
    if (!first || next < first.index) return undefined
    const at = next - first.index
    return at < this.recent.length ? this.recent.slice(at, at + PAGE) : undefined
  }

  private async growth(signal: AbortSignal): Promise<void> {
    const poll = AbortSignal.timeout(POLL_MS)
    try {
      await once(this.grown, 'grown', { signal: AbortSignal.any([signal, poll]) })
    } catch (error) {
      if (!signal.aborted && !poll.aborted) throw error
    }
  }
}
