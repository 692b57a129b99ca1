import { Worker } from 'node:worker_threads'

import { parseAddress } from './eventstoredb/address.js'
import type { Append } from './eventstoredb/append.js'
import type { EntryText } from './eventstoredb/event.js'
import { assertUsable } from './eventstoredb/connection.js'
import { type EntryToAppend, EventStore, StoreError, type Stored } from './event-store.js'
import { type StoreThread, storeThread } from './store-thread.js'

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
  /** Whether to stop following where the user, by the default ACL, may delete or truncate the stream. */
  restricted?: boolean
  /** How long a read may be silent. */
  silenceMs?: number
  /** Hears why this broker may not read the ledger or its metadata, once; and undefined once it may again. */
  onSight?: Sight
}

export type Sight = (problem: string | undefined) => void

/** What eventstoredb.worker.ts is started with. */
export interface ThreadData extends Omit<EventStoreDbOptions, 'onSight'> {
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
  /**
   * Set while the user may not read the ledger or its metadata. The server goes on taking its appends, but whether they
   * can be read, or are about to be hidden, shows in what it may not read.
   */
  private unseen: StoreError | undefined
  private lastFollowing = 0
  /** What ends each following that is under way. */
  private readonly followings = new Set<() => void>()
  private readonly onSight: Sight

  /** Throws Error or StoreError where the URL is of no use. */
  constructor(url: string, { onSight = () => undefined, ...options }: EventStoreDbOptions) {
    super()
    this.onSight = onSight
    const address = parseAddress(url)
    assertUsable(address)
    this.description = `${address.name} stream ${options.stream}`
    this.thread = storeThread(
      () =>
        new Worker(new URL('./eventstoredb.worker.js', import.meta.url), {
          workerData: { ...options, url } satisfies ThreadData,
          resourceLimits: MEMORY,
        }),
    )
  }

  async append(sealed: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    if (this.damage) throw this.damage
    if (this.unseen) throw this.remembered(this.unseen, expectedSize)
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
    return (await this.ask({ op: 'size' })) as number
  }

  async read(from: number, limit: number): Promise<Stored[]> {
    return (await this.ask({ op: 'read', from, limit })) as Stored[]
  }

  /** One batch is on its way at a time: what arrives meanwhile comes as the next one. */
  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    if (signal.aborted) return
    const id = (this.lastFollowing += 1)
    const leave = () => void this.thread.call({ op: 'leave', id }).catch(() => undefined)
    signal.addEventListener('abort', leave)
    this.followings.add(leave)
    try {
      await this.ask({ op: 'follow', id, from })
      while (!signal.aborted) {
        const batch = (await this.ask({ op: 'next', id })) as Stored[] | undefined
        if (!batch && !signal.aborted && this.unseen) throw this.unseen
        if (!batch) return
        if (batch.length > 0) yield batch
        else this.regainSight()
      }
    } catch (error) {
      if (error instanceof StoreError && error.damage) this.damage = untilRestart(error)
      throw error
    } finally {
      signal.removeEventListener('abort', leave)
      this.followings.delete(leave)
      leave()
    }
  }

  close(): Promise<void> {
    return this.thread.close()
  }

  /** A question that reads. */
  private async ask(question: Question): Promise<unknown> {
    try {
      return await this.thread.call(question)
    } catch (error) {
      if (error instanceof StoreError && error.denied) this.loseSight(error)
      throw error
    }
  }

  private loseSight({ message }: StoreError): void {
    if (this.unseen) return
    this.unseen = new StoreError('unavailable', message)
    this.onSight(message)
    // Only a following that begins shows that all can be seen again.
    for (const leave of this.followings) leave()
  }

  private regainSight(): void {
    if (!this.unseen) return
    this.unseen = undefined
    this.onSight(undefined)
  }

  /** Keeps what a failure means for the next attempt at this place. */
  private remembered(failure: StoreError, expectedSize: number): StoreError {
    switch (failure.code) {
      case 'unknown':
        this.inDoubt = expectedSize
        return failure
      case 'conflict':
        // What holds the place may be an earlier try that is not committed yet: a success must still be compared with it.
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
