// The store under the ledger: one stream, append-only, in order.

import type { Sealed } from '../domain/ledger/entry.js'

/** An entry to be written. */
export interface EntryToAppend extends Sealed {
  /** The ledger key's signature over the head that this entry makes: the last entry of each append has one. */
  signature?: string
}

/** An entry as a store gives it back: its place, and its text exactly as it was appended, not yet believed. */
export interface Stored {
  index: number
  text: string
  /** As it was appended, not yet believed. No part of the entry: it says who appended it. */
  signature?: string
  /** The node id of the broker that wrote it, where the store keeps one. A hint for SharedStore, no part of the entry. */
  by?: string
  /** The index of the last entry of the same append. A hint like `by`. */
  upTo?: number
}

/** What a store gives back for an entry that was appended. */
export function toStored({ entry: { index }, text, signature }: EntryToAppend): Stored {
  return signature === undefined ? { index, text } : { index, text, signature }
}

/**
 * Why an append was not confirmed.
 *
 * conflict     the stream is not at the expected size: nothing was written. The only one after which the events may be chained again.
 * unknown      it may be written, or be written yet. Only reading back, or the same append again, can tell.
 * unavailable  nothing was written; later it may be (disk full, not connected).
 * refused      nothing was written, and repeating will not help (read-only, damaged, no right to).
 */
export type StoreErrorCode = 'conflict' | 'unknown' | 'unavailable' | 'refused'

interface StoreErrorKind {
  damage?: boolean
  denied?: boolean
}

export class StoreError extends Error {
  /** The ledger no longer holds all that it held, or need not for long: nothing may be added. Only ever with 'refused'. */
  readonly damage: boolean
  /** The store does not allow this broker to read the ledger, or what it says about it. Only ever with 'refused'. */
  readonly denied: boolean

  constructor(
    readonly code: StoreErrorCode,
    message: string,
    { damage = false, denied = false, ...options }: ErrorOptions & StoreErrorKind = {},
  ) {
    super(message, options)
    this.name = 'StoreError'
    this.damage = damage
    this.denied = denied
  }
}

/**
 * test/contract/event-store.contract.ts holds every implementation to this.
 *
 * append    writes all entries or none, so that the first gets index `expectedSize`. Resolves only when they are
 *           durable and readable. Rejects with StoreError. Appending the same bytes again at the same place after an
 *           `unknown` is safe: they are either there (conflict, or success where the store recognises them) or get
 *           written once. A network may cut them: after an `unknown`, conflict, and only the first of them are there.
 *           Each entry's signature is written with it and is durable when it is; what it says is not looked at.
 *           `entries` is never empty. One append at a time: where the last one is not answered yet, a store that cannot
 *           queue answers `unknown`.
 * size      how many entries there are, as of a moment after the call.
 * read      up to `limit` entries from index `from` on, in order, without gaps; [] at the end. It may return fewer.
 * follow    every entry from index `from` on, in batches, in order, without gap or repeat, waiting for more at the
 *           end until `signal` aborts; then it returns. Rejects with StoreError when it cannot go on.
 * turn      asked before each append of something new. Undefined: append now, and as often as there is something to
 *           append. A promise: others append too, and it resolves when this process may; the turn after that is far away.
 * close     frees what the store holds. Nothing may be called after it.
 *
 * size, read and follow reject with StoreError 'unavailable' (may be asked again) or 'refused' (will not change).
 */
export abstract class EventStore {
  /** Shown to operators: what kind of store, and where. Holds no secret. */
  abstract readonly description: string
  abstract append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void>
  abstract size(): Promise<number>
  abstract read(from: number, limit: number): Promise<Stored[]>
  abstract follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]>
  abstract close(): Promise<void>

  turn(): Promise<void> | undefined {
    return undefined
  }
}
