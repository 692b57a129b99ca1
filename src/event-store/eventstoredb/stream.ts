import { BACKWARDS, END, metastreamOf } from '@eventstore/db-client'

import { StoreError, type Stored } from '../event-store.js'
import { type Connection } from './connection.js'
import { type FoundEvent, toStored } from './event.js'
import { grantsOf, ownAclProblem, truncation } from './metadata.js'
import { TOMBSTONED, UNHIDE } from './errors.js'
import { excessPermissions, permissionsProblem } from './powers.js'

/** The most that one read asks for. */
export const PAGE = 1000

/**
 * The ledger's stream as it can be read: whole, or not at all. `insecure`: a follower accepts an `$acl` of
 * its own by which others may delete or truncate it. `restricted`: it does not accept a user that may.
 */
export class LedgerStream {
  readonly metastream: string
  private readonly insecure: boolean
  private readonly restricted: boolean

  constructor(
    readonly connection: Connection,
    readonly name: string,
    {
      insecure = false,
      restricted = false,
    }: { insecure?: boolean | undefined; restricted?: boolean | undefined } = {},
  ) {
    this.insecure = insecure
    this.restricted = restricted
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
    if (!head) throw hiddenEvents('all of its entries')
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
    const newest = await this.newestMetadata()
    const problem = newest && truncation(newest)
    if (problem) throw problem
    return newest?.data
  }

  /** As assertWhole, and rejects when an ACL of the stream's own lets others delete or truncate it. */
  async assertSound(): Promise<void> {
    const newest = await this.newestMetadata()
    const problem = newest && this.objection(newest)
    if (problem) throw problem
  }

  /** Rejects when the broker's user could delete or truncate the stream, where that matters. */
  async assertPowerless(): Promise<void> {
    if (!this.restricted) return
    const powers = await excessPermissions(this.connection, this.name)
    if (powers.length > 0) throw new StoreError('refused', permissionsProblem(powers))
  }

  /** What an event of the metastream says against going on with the ledger. */
  objection(event: FoundEvent): StoreError | undefined {
    const problem = truncation(event)
    if (problem || this.insecure) return problem
    const grants = grantsOf(event.data)
    return grants.length === 0 ? undefined : new StoreError('refused', ownAclProblem(this.name, grants))
  }

  private async newestMetadata(): Promise<FoundEvent | undefined> {
    const newest = await this.connection.collect((client) =>
      client.readStream(this.metastream, {
        ...this.options,
        direction: BACKWARDS,
        fromRevision: END,
        maxCount: 1,
      }),
    )
    return newest?.[0]
  }
}

/** `found` as entries, the first at index `from`. Throws when one is missing: EventStoreDB skips what is hidden. */
export function contiguous(found: readonly FoundEvent[], from: number): Stored[] {
  return found.map((event, i) => {
    if (event.type === '$streamDeleted') throw new StoreError('refused', TOMBSTONED)
    if (event.revision !== BigInt(from + i)) throw hiddenEvents(`entry ${from + i}`)
    return toStored(event)
  })
}

export function hiddenEvents(what: string): StoreError {
  return new StoreError(
    'refused',
    `the ledger stream does not show ${what}: it was truncated or deleted ($tb, $maxCount or $maxAge in its metadata); ${UNHIDE}`,
  )
}
