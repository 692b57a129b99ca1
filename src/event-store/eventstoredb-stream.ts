import { BACKWARDS, END, metastreamOf } from '@eventstore/db-client'

import { type Connection } from './eventstoredb-connection.js'
import { type FoundEvent, toStored } from './eventstoredb-event.js'
import { TOMBSTONED, UNHIDE } from './eventstoredb-outcome.js'
import { StoreError, type Stored } from './event-store.js'

/** The most that one read asks for. */
export const PAGE = 1000

/** The ledger's stream as it can be read: whole, or not at all. */
export class LedgerStream {
  readonly metastream: string

  constructor(
    readonly connection: Connection,
    readonly name: string,
  ) {
    this.metastream = metastreamOf(name)
  }

  /** Reads are done at the leader: a follower may not have the last entries yet. */
  private get options() {
    return { credentials: this.connection.credentials, requiresLeader: true }
  }

  async size(): Promise<number> {
    const newest = await this.connection.collect((client) =>
      client.readStream(this.name, { ...this.options, direction: BACKWARDS, fromRevision: END, maxCount: 1 }),
    )
    if (newest === undefined) {
      // Never written, or soft-deleted: only the metadata tells.
      await this.assertWhole()
      return 0
    }
    const [head] = newest
    if (!head) throw hidden('all of its entries')
    return Number(head.revision) + 1
  }

  async read(from: number, limit: number): Promise<Stored[]> {
    if (limit < 1) return []
    const fromRevision = BigInt(from)
    const maxCount = Math.min(limit, PAGE)
    const found = await this.connection.collect((client) =>
      client.readStream(this.name, { ...this.options, fromRevision, maxCount }),
    )
    // Nothing at all is the end of the ledger, or a ledger whose entries are hidden: the head tells.
    if (!found?.length) await this.size()
    return contiguous(found ?? [], from)
  }

  /** Rejects when the stream's metadata hides entries, or will. */
  async assertWhole(): Promise<void> {
    await this.wholeMetadata()
  }

  /** The stream's metadata; undefined where there is none. Rejects when it hides entries, or will. */
  async wholeMetadata(): Promise<unknown> {
    const newest = await this.connection.collect((client) =>
      client.readStream(this.metastream, {
        ...this.options,
        direction: BACKWARDS,
        fromRevision: END,
        maxCount: 1,
      }),
    )
    const problem = newest?.[0] && truncation(newest[0])
    if (problem) throw problem
    return newest?.[0]?.data
  }
}

/** `found` as entries, the first at index `from`. Throws when one is missing: EventStoreDB skips what is hidden. */
export function contiguous(found: readonly FoundEvent[], from: number): Stored[] {
  return found.map((event, i) => {
    if (event.type === '$streamDeleted') throw new StoreError('refused', TOMBSTONED)
    if (event.revision !== BigInt(from + i)) throw hidden(`entry ${from + i}`)
    return toStored(event)
  })
}

/** What an event of the metastream says about truncation: every one of these hides entries, at once or later. */
export function truncation({ data }: FoundEvent): StoreError | undefined {
  const { $tb, $maxCount, $maxAge } = (data ?? {}) as Record<string, unknown>
  if ($tb === undefined && $maxCount === undefined && $maxAge === undefined) return undefined
  const which = [
    ['$tb', $tb],
    ['$maxCount', $maxCount],
    ['$maxAge', $maxAge],
  ].filter(([, value]) => value !== undefined)
  return new StoreError(
    'refused',
    `the ledger stream is truncated or soft-deleted, or will be: its metadata says ${which.map(([name, value]) => `${String(name)} ${String(value)}`).join(', ')}; ${UNHIDE}`,
  )
}

export function hidden(what: string): StoreError {
  return new StoreError(
    'refused',
    `the ledger stream does not show ${what}: it was truncated or deleted ($tb, $maxCount or $maxAge in its metadata); ${UNHIDE}`,
  )
}
