import { type EventData, NO_STREAM } from '@eventstore/db-client'

import type { Sealed } from '../domain/ledger/entry.js'
import { type Address, parseAddress } from './eventstoredb-address.js'
import { Connection } from './eventstoredb-connection.js'
import { toEvent } from './eventstoredb-event.js'
import { follow } from './eventstoredb-follow.js'
import { appendFailure, isDamage } from './eventstoredb-outcome.js'
import { LedgerStream } from './eventstoredb-stream.js'
import { EventStore, StoreError, type Stored } from './event-store.js'

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
  /** How long a read may be silent. */
  silenceMs?: number
}

/**
 * The shared ledger: one stream of an EventStoreDB cluster, revision = index. docs/eventstoredb.md.
 *
 * Each append names the exact revision it follows and goes out as one plain Append call, at the leader. An attempt
 * whose outcome is unknown is followed by nothing but itself: when a later attempt at its place succeeds or conflicts,
 * what is stored there is read and compared with what was to be written, because EventStoreDB recognises a repeated
 * append by its ids and never looks at the content.
 */
export class EventStoreDbEventStore extends EventStore {
  readonly description: string
  private readonly connection: Connection
  private readonly stream: LedgerStream
  private readonly node: string | undefined
  private appending = false
  /** The place of the last append whose outcome is not known. */
  private inDoubt: number | undefined
  /** Set when the stream was seen damaged: nothing may be added to a ledger that hides entries. */
  private damage: StoreError | undefined

  constructor(url: string | Address, options: EventStoreDbOptions) {
    super()
    const address = typeof url === 'string' ? parseAddress(url) : url
    this.description = `${address.name} stream ${options.stream}`
    this.connection = new Connection(address, options.silenceMs)
    this.stream = new LedgerStream(this.connection, options.stream)
    this.node = options.node
  }

  async append(entries: readonly Sealed[], expectedSize: number): Promise<void> {
    if (this.damage) throw this.damage
    if (this.appending)
      throw new StoreError('refused', 'one append at a time: the last one is not answered yet')
    assertFits(entries)
    this.appending = true
    try {
      // On a soft-deleted stream "there is no stream yet" succeeds, after the hidden entries: look first.
      if (expectedSize === 0) await this.stream.assertWhole()
      await this.attempt(entries, expectedSize)
      this.inDoubt = undefined
    } catch (error) {
      throw this.remembered(error as StoreError, expectedSize)
    } finally {
      this.appending = false
    }
  }

  size(): Promise<number> {
    return this.stream.size()
  }

  read(from: number, limit: number): Promise<Stored[]> {
    return this.stream.read(from, limit)
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    try {
      yield* follow(this.stream, from, signal)
    } catch (error) {
      if (isDamage(error)) this.damage = error
      throw error
    }
  }

  close(): Promise<void> {
    this.connection.close()
    return Promise.resolve()
  }

  private async attempt(entries: readonly Sealed[], expectedSize: number): Promise<void> {
    const wasInDoubt = this.inDoubt === expectedSize
    const note = { by: this.node, upTo: expectedSize + entries.length - 1 }
    const events = entries.map((entry) => toEvent(entry, note))
    try {
      const { nextExpectedRevision, position } = await this.send(events, expectedSize)
      const last = BigInt(expectedSize + entries.length - 1)
      if (nextExpectedRevision !== last)
        throw new StoreError(
          'refused',
          `the entries were stored up to revision ${nextExpectedRevision} instead of ${last}: the stream was deleted or truncated`,
        )
      if (!position)
        throw new StoreError(
          'refused',
          'the entries are stored but hidden: the stream was truncated or soft-deleted',
        )
    } catch (error) {
      const failure = appendFailure(error, expectedSize)
      if (failure.code !== 'conflict' || !wasInDoubt) throw failure
      if (await this.isStored(entries, expectedSize)) return
      throw failure
    }
    if (wasInDoubt && !(await this.isStored(entries, expectedSize)))
      throw new StoreError(
        'refused',
        'EventStoreDB confirmed the append but holds other entries in its place',
      )
  }

  private send(events: EventData[], expectedSize: number) {
    const { credentials } = this.connection
    return this.connection.answer((client, deadline) =>
      client.appendToStream(this.stream.name, events, {
        expectedRevision: expectedSize === 0 ? NO_STREAM : BigInt(expectedSize - 1),
        credentials,
        deadline,
        requiresLeader: true,
      }),
    )
  }

  /** Whether exactly these texts stand at this place. When that cannot be read, the append is still in doubt. */
  private async isStored(entries: readonly Sealed[], from: number): Promise<boolean> {
    try {
      for (let at = 0; at < entries.length;) {
        const page = await this.stream.read(from + at, entries.length - at)
        if (page.length === 0 || page.some(({ text }, i) => text !== entries[at + i]?.text)) return false
        at += page.length
      }
      return true
    } catch (error) {
      if (error instanceof StoreError && error.code === 'refused') throw error
      throw new StoreError('unknown', 'what the earlier attempt wrote cannot be read now', { cause: error })
    }
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

function assertFits(entries: readonly Sealed[]): void {
  const bytes = entries.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
  if (entries.length === 0) throw new StoreError('refused', 'an append needs at least one entry')
  if (entries.length > MAX_APPEND_ENTRIES || bytes > MAX_APPEND_BYTES)
    throw new StoreError(
      'refused',
      `${entries.length} entries of ${bytes} bytes are more than one append may hold (${MAX_APPEND_ENTRIES}, ${MAX_APPEND_BYTES} bytes)`,
    )
}
