// An entry as an event store keeps it: its type and data, and the other members as metadata. docs/ledger-format.md,
// "Where it is kept".

import { canonicalize, type Json } from './canonical.js'

/** An event as it was found, not yet believed. */
export interface StoredEvent {
  type: string
  data: unknown
  /** May hold more than the entry's members. */
  metadata?: unknown
}

/** The entry's text, put together from its members; undefined where a member is missing or has no JSON form. */
export function entryTextOf({ type, data, metadata }: StoredEvent): string | undefined {
  const { v, index, time, prev } = membersOf(metadata)
  try {
    return canonicalize({ data, index, prev, time, type, v } as Json)
  } catch (error) {
    // TypeError: a member is missing or has no JSON form. RangeError: nested deeper than the stack bears.
    if (error instanceof TypeError || error instanceof RangeError) return undefined
    throw error
  }
}

/** The members of what should be an object; none of anything else. */
export function membersOf(metadata: unknown): Record<string, unknown> {
  return typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, unknown>) : {}
}
