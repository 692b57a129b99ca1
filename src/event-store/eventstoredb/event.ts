// An entry as an EventStoreDB event, and back. docs/ledger-format.md, "In the store".

import type { Entry } from '../../domain/ledger/entry.js'
import { entryTextOf, membersOf } from '../../domain/ledger/stored-event.js'
import type { EntryToAppend, Stored } from '../event-store.js'

/** What is written of an entry. */
export type EntryText = Pick<EntryToAppend, 'text' | 'leafHash' | 'signature'>

/** What an append says of itself: goes into the metadata of each of its events and is no part of any entry. */
export interface AppendNote {
  /** The node id of the broker. */
  by: string | undefined
  /** The index of the append's last entry: a subscription delivers an append in pieces. */
  upTo: number
}

/** An event to be written: JSON in UTF-8. */
export interface NewEvent {
  id: string
  type: string
  data: Uint8Array
  metadata: Uint8Array
}

/** The event is made from the entry's text, which is what was hashed, never from the object beside it. */
export function toEvent({ text, leafHash, signature }: EntryText, { by, upTo }: AppendNote): NewEvent {
  const { data, index, prev, time, type, v } = JSON.parse(text) as Entry
  const note = by === undefined ? {} : { by, upTo }
  const metadata = { v, index, time, prev, ...note, ...(signature === undefined ? {} : { signature }) }
  return { id: eventId(leafHash), type, data: jsonBytes(data), metadata: jsonBytes(metadata) }
}

const jsonBytes = (value: unknown) => Buffer.from(JSON.stringify(value))

/**
 * UUIDv8 (RFC 9562 section 5.8) of the leaf hash's first 16 bytes. EventStoreDB recognises a repeated append by its
 * ids alone: the same bytes must have the same id, and bytes chained again another one.
 */
export function eventId(leafHash: string): string {
  const variant = ((parseInt(leafHash.charAt(16), 16) & 3) | 8).toString(16)
  return [
    leafHash.slice(0, 8),
    leafHash.slice(8, 12),
    `8${leafHash.slice(13, 16)}`,
    `${variant}${leafHash.slice(17, 20)}`,
    leafHash.slice(20, 32),
  ].join('-')
}

/** What the client makes of a recorded event: JSON already parsed, or a string where it was none. */
export interface FoundEvent {
  id: string
  revision: bigint
  type: string
  isJson: boolean
  data: unknown
  metadata?: unknown
}

/**
 * The entry's text, rebuilt from the members. An event that is no entry (redacted, malformed, written by someone
 * else) gives a text that no entry can have, for the verifier to report.
 */
export function toStored(event: FoundEvent): Stored {
  const index = Number(event.revision)
  const text = entryText(event) ?? foreignText(event)
  const { signature } = membersOf(event.metadata)
  const stored: Stored = { index, text, ...appendNote(event.metadata) }
  if (typeof signature === 'string') stored.signature = signature
  return stored
}

/** What the append said of itself, as far as it can be believed to be a broker's word. */
export function appendNote(metadata: unknown): { by?: string; upTo?: number } {
  const { by, upTo } = membersOf(metadata)
  if (typeof by !== 'string') return {}
  return Number.isSafeInteger(upTo) ? { by, upTo: upTo as number } : { by }
}

function entryText(event: FoundEvent): string | undefined {
  // Bytes that are not marked as JSON come as an array of numbers, which would have a JSON form of its own.
  return event.isJson ? entryTextOf(event) : undefined
}

const SHOWN = 200

function foreignText({ id, revision, type, data }: FoundEvent): string {
  const found = typeof data === 'string' ? data.slice(0, SHOWN) : typeof data
  return JSON.stringify({ notAnEntry: { revision: String(revision), id, type, found } })
}
