// What the tests over the stand-in share: a store, its entries, and the patience a caller has with it.

import { setTimeout as pause } from 'node:timers/promises'

import { EntryError, leafHash, parseEntry, type Sealed } from '../../../src/domain/ledger/entry.js'
import {
  type EventStore,
  StoreError,
  type StoreErrorCode,
  type Stored,
} from '../../../src/event-store/event-store.js'
import { MAX_APPEND_TIMEOUT_MS } from '../../../src/event-store/eventstoredb/address.js'
import { toEvent } from '../../../src/event-store/eventstoredb/event.js'
import { EventStoreDbEventStore } from '../../../src/event-store/eventstoredb.js'
import type { Database, Proposed } from './database.js'

export const STREAM = 'agentkeys-ledger'

/** Metadata as an administrator writes it: in place of all there was. */
export function setMetadata(database: Database, stream: string, metadata: object): void {
  const event = { id: crypto.randomUUID(), type: '$metadata', contentType: 'application/json' }
  const data = Buffer.from(JSON.stringify(metadata))
  database.append(`$$${stream}`, 'any', [{ ...event, data, metadata: new Uint8Array() }])
  database.changes.emit('changed')
}

/** The event that a broker would have written for the text, to be put into a database without one. */
export function asEvent(text: string, signature?: string): Proposed {
  const note = { by: 'n1', upTo: 0 }
  return {
    ...toEvent({ text, leafHash: leafHash(text), ...(signature === undefined ? {} : { signature }) }, note),
    contentType: 'application/json',
  }
}

/**
 * Waits for an append as long as a URL may ask for: one that is given up because the machine is slow may be stored in
 * part. `patienceMs`: less, and for reads too, where they are to be given up.
 */
export function openStore(
  url: string,
  { node = 'n1', patienceMs }: { node?: string; patienceMs?: number } = {},
): EventStoreDbEventStore {
  const deadline = patienceMs ?? MAX_APPEND_TIMEOUT_MS
  const silenceMs = patienceMs ?? 60_000
  return new EventStoreDbEventStore(`${url}&defaultDeadline=${deadline}`, { stream: STREAM, node, silenceMs })
}

/** How long an append is tried again: longer than any machine takes to bring a node back. */
const SETTLED_WITHIN_MS = 200_000

/** Appends as a caller has to: the very same entries again, for as long as the outcome is open. */
export async function appendUntilSettled(
  store: EventStore,
  entries: Sealed[],
  at: number,
): Promise<StoreErrorCode[]> {
  const failures: StoreErrorCode[] = []
  const over = performance.now() + SETTLED_WITHIN_MS
  for (;;) {
    try {
      await store.append(entries, at)
      return failures
    } catch (error) {
      if (!(error instanceof StoreError) || performance.now() > over) throw error
      if (error.code !== 'unknown' && error.code !== 'unavailable') throw error
      failures.push(error.code)
      await pause(25)
    }
  }
}

export async function readAll(store: EventStore): Promise<Stored[]> {
  const all: Stored[] = []
  for (;;) {
    const page = await store.read(all.length, 1000)
    if (page.length === 0) return all
    all.push(...page)
  }
}

export const textsOf = (entries: readonly { text: string }[]) => entries.map(({ text }) => text)

/** Whether the text is an entry, as a verifier would ask. */
export function isEntry({ text }: Stored): boolean {
  try {
    parseEntry(text)
    return true
  } catch (error) {
    if (error instanceof EntryError) return false
    throw error
  }
}

/** Collects what a follower is given, until it has `count` entries or fails. */
export class Follower {
  readonly got: Stored[] = []
  /** How many entries came at a time. */
  readonly batches: number[] = []
  private readonly stop = new AbortController()
  readonly ended: Promise<void>
  private waiting: { count: number; resolve: () => void } | undefined

  constructor(store: EventStore, from = 0) {
    this.ended = this.run(store, from)
    this.ended.catch(() => undefined)
  }

  private async run(store: EventStore, from: number): Promise<void> {
    for await (const batch of store.follow(from, this.stop.signal)) {
      this.got.push(...batch)
      this.batches.push(batch.length)
      if (this.waiting && this.got.length >= this.waiting.count) this.waiting.resolve()
    }
  }

  /** Resolves when `count` entries have come; rejects with what ended the following before. */
  async has(count: number): Promise<void> {
    if (this.got.length >= count) return
    const enough = new Promise<void>((resolve) => {
      this.waiting = { count, resolve }
    })
    await Promise.race([enough, this.ended])
  }

  async end(): Promise<void> {
    this.stop.abort()
    await this.ended
  }
}
