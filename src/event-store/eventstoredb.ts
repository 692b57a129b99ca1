import { Worker } from 'node:worker_threads'

import { parseAddress } from './eventstoredb/address.js'
import type { Append } from './eventstoredb/append.js'
import type { EntryText } from './eventstoredb/event.js'
import { assertUsable } from './eventstoredb/connection.js'
import { type EntryToAppend, EventStore, StoreError, type Stored } from './event-store.js'
import { StoreThread } from './store-thread.js'

/**
 * What one append may hold, in entries and in bytes of their text. Half of what a node takes by default (1 MiB), since
 * servers from 24.10.4 on count metadata and type names too. A group is written whole or not at all, so a larger one
 * is refused, never split.
 */
export const MAX_APPEND_ENTRIES = 500
export const MAX_APPEND_BYTES = 512 * 1024

export interface EventStoreDbOptions {
  stream: string
  /** The broker's node id, kept with each entry it writes. */
  node?: string
  /** Whether to go on following where the stream has an `$acl` of its own by which others may delete or truncate it. */
  insecure?: boolean
  /** How long a read may be silent. */
  silenceMs?: number
}

/** What eventstoredb.worker.ts is started with. */
export interface ThreadData extends EventStoreDbOptions {
  url: string
}

/** The thread's requests. `id`: of a follow, chosen by its caller. */
export type Question =
  | ({ op: 'append' } & Omit<Append, 'node'>)
  | { op: 'size' }
  | { op: 'read'; from: number; limit: number }
  | { op: 'follow'; id: number; from: number }
  | { op: 'next'; id: number }
  | { op: 'leave'; id: number }

/** A page of the longest entries. V8 takes what it is allowed before it tidies up. */
const MEMORY = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 32 }

/**
 * The shared ledger: one stream of an EventStoreDB cluster, revision = index. docs/eventstoredb.md.
 *
 * The connection belongs to a thread of its own. What must outlive that thread is kept here: an attempt whose outcome
 * is unknown is followed by nothing but itself, and the thread is notified that it is.
 */
export class EventStoreDbEventStore extends EventStore {
  readonly description: string
  private readonly thread: StoreThread<Question>
  private appending = false
  /** The place of the last append whose outcome is not known. */
  private inDoubt: number | undefined
  /** Set when the stream was seen damaged, or open to it: nothing may be added to a ledger that hides entries. */
  private damage: StoreError | undefined
  private followings = 0

  /** Throws Error or StoreError where the URL is of no use. */
  constructor(url: string, options: EventStoreDbOptions) {
    super()
    const address = parseAddress(url)
    assertUsable(address)
    this.description = `${address.name} stream ${options.stream}`
    this.thread = new StoreThread(
      () =>
        new Worker(new URL('./eventstoredb.worker.js', import.meta.url), {
          workerData: { ...options, url } satisfies ThreadData,
          resourceLimits: MEMORY,
        }),
    )
  }

  async append(sealed: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    if (this.damage) throw this.damage
    // It may be this very append: a caller that gave it up and repeats it must not take the answer as final.
    if (this.appending)
      throw new StoreError('unknown', 'one append at a time: the last one is not answered yet')
    assertFits(sealed)
    this.appending = true
    try {
      const entries = sealed.map(textOf)
      const inDoubt = this.inDoubt === expectedSize
      await this.thread.call({ op: 'append', entries, expectedSize, inDoubt })
      this.inDoubt = undefined
    } catch (error) {
      throw this.remembered(error as StoreError, expectedSize)
    } finally {
      this.appending = false
    }
  }

  async size(): Promise<number> {
    return (await this.thread.call({ op: 'size' })) as number
  }

  async read(from: number, limit: number): Promise<Stored[]> {
    return (await this.thread.call({ op: 'read', from, limit })) as Stored[]
  }

  /** One batch is on its way at a time: what arrives meanwhile comes as the next one. */
  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    if (signal.aborted) return
    const id = (this.followings += 1)
    const leave = () => void this.thread.call({ op: 'leave', id }).catch(() => undefined)
    signal.addEventListener('abort', leave)
    try {
      await this.thread.call({ op: 'follow', id, from })
      while (!signal.aborted) {
        const batch = (await this.thread.call({ op: 'next', id })) as Stored[] | undefined
        if (!batch) return
        yield batch
      }
    } catch (error) {
      if (error instanceof StoreError && error.damage) this.damage = untilRestart(error)
      throw error
    } finally {
      signal.removeEventListener('abort', leave)
      leave()
    }
  }

  close(): Promise<void> {
    return this.thread.close()
  }

  /** Keeps what a failure means for the next attempt at this place. */
  private remembered(failure: StoreError, expectedSize: number): StoreError {
    switch (failure.code) {
      case 'unknown':
        this.inDoubt = expectedSize
        return failure
      case 'conflict':
        this.inDoubt = undefined
        return failure
      case 'unavailable':
        // This attempt left nothing behind, but an earlier one at the same place may have.
        return this.inDoubt === expectedSize
          ? new StoreError('unknown', failure.message, { cause: failure })
          : failure
      case 'refused':
        return failure
    }
  }
}

/** What appends are refused with from now on, whatever is repaired: a restart checks everything again. */
function untilRestart({ message }: StoreError): StoreError {
  return new StoreError('refused', `${message}; then start this broker again`, { damage: true })
}

const textOf = ({ text, leafHash, signature }: EntryToAppend): EntryText =>
  signature === undefined ? { text, leafHash } : { text, leafHash, signature }

function assertFits(entries: readonly EntryToAppend[]): void {
  const bytes = entries.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
  if (entries.length === 0) throw new StoreError('refused', 'an append needs at least one entry')
  if (entries.length > MAX_APPEND_ENTRIES || bytes > MAX_APPEND_BYTES)
    throw new StoreError(
      'refused',
      `${entries.length} entries of ${bytes} bytes are more than one append may hold (${MAX_APPEND_ENTRIES}, ${MAX_APPEND_BYTES} bytes)`,
    )
}
