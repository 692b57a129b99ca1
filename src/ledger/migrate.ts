// A ledger's move to another store: the same entries, byte for byte, at the same places.

import { setTimeout as pause } from 'node:timers/promises'

import { EntryError, parseEntry, type Sealed } from '../domain/ledger/entry.js'
import { type EventStore, StoreError } from '../event-store/event-store.js'
import { linked, LedgerRefused } from './open-ledger.js'

/** What one append may hold in every store. */
const PAGE = 500
const GROUP_BYTES = 512 * 1024
const TRIES = 10
const RETRY_MS = 200

export interface Migration {
  from: EventStore
  to: EventStore
  onProgress?: (entries: number, of: number) => void
}

/**
 * Copies what `to` does not have yet, so that a move that was cut off goes on where it ended. Every entry of both sides
 * is read and checked: what is there already must be the beginning of `from`, and in the end both hold the same. Throws
 * LedgerRefused when they cannot, or the stores' StoreError. Nobody may write to either meanwhile.
 */
export async function migrateLedger({
  from,
  to,
  onProgress,
}: Migration): Promise<{ size: number; copied: number }> {
  const [size, there] = [await from.size(), await to.size()]
  if (size === 0) throw new LedgerRefused(`${from.description} is empty: there is nothing to move`)
  if (there > size)
    throw new LedgerRefused(
      `${to.description} has ${there} entries, more than the ${size} of ${from.description}`,
    )

  let last: Sealed | undefined
  for (let at = 0; at < size;) {
    const entries = await entriesAt(from, last, at < there ? Math.min(PAGE, there - at) : PAGE)
    if (at < there) await assertSame(to, entries)
    else for (const group of groupsOf(entries)) await appendSurely(to, group)
    at += entries.length
    last = entries.at(-1)
    onProgress?.(at, size)
  }
  await assertCopied(from, to, { size, there, last })
  return { size, copied: size - there }
}

/** What was appended is read back: an append that was confirmed is one thing, an entry that is there another. */
async function assertCopied(
  from: EventStore,
  to: EventStore,
  { size, there, last }: { size: number; there: number; last: Sealed | undefined },
): Promise<void> {
  let before = there === 0 ? undefined : (await entriesAt(to, undefined, 1, there - 1))[0]
  while ((before?.entry.index ?? -1) < size - 1) before = (await entriesAt(to, before, PAGE)).at(-1)
  if (before?.leafHash !== last?.leafHash)
    throw new LedgerRefused(`${to.description} does not end as ${from.description} does: keep it as evidence`)
  if ((await from.size()) !== size || (await to.size()) !== size)
    throw new LedgerRefused('a broker wrote to the ledger meanwhile: stop all brokers, and run this again')
}

async function entriesAt(
  store: EventStore,
  last: Sealed | undefined,
  limit: number,
  from = last ? last.entry.index + 1 : 0,
): Promise<Sealed[]> {
  const stored = await store.read(from, limit)
  if (stored.length === 0) throw new LedgerRefused(`${store.description} ends before entry ${from}`)
  try {
    // The first of a later part has nothing to be linked to here: its hash is compared by whoever asks for it.
    if (!last && from > 0) return stored.map(({ text }) => parseEntry(text))
    return linked(last, stored)
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    throw new LedgerRefused(`${store.description} is damaged at or after entry ${from}: ${error.message}`)
  }
}

async function assertSame(to: EventStore, entries: readonly Sealed[]): Promise<void> {
  const first = entries[0]?.entry.index ?? 0
  for (let at = 0; at < entries.length;) {
    const page = await to.read(first + at, entries.length - at)
    if (page.length === 0) throw new LedgerRefused(`${to.description} ends before entry ${first + at}`)
    const other = page.findIndex(({ text }, i) => text !== entries[at + i]?.text)
    if (other >= 0)
      throw new LedgerRefused(
        `${to.description} holds another ledger: its entry ${first + at + other} is not the one to be moved there`,
      )
    at += page.length
  }
}

function groupsOf(entries: readonly Sealed[]): Sealed[][] {
  const groups: Sealed[][] = []
  let bytes = Infinity
  for (const entry of entries) {
    const length = Buffer.byteLength(entry.text)
    bytes += length
    if (bytes > GROUP_BYTES) {
      groups.push([])
      bytes = length
    }
    groups.at(-1)?.push(entry)
  }
  return groups
}

/** Again and again the same bytes at the same place, for as long as that may help. */
async function appendSurely(to: EventStore, group: Sealed[]): Promise<void> {
  const at = group[0]?.entry.index ?? 0
  for (let tried = 1; ; tried += 1) {
    try {
      return await to.append(group, at)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      // After an unknown outcome a conflict may be our own entries: comparing tells.
      if (error.code === 'conflict') return assertSame(to, group)
      if (error.code === 'refused' || tried === TRIES) throw error
      await pause(RETRY_MS * tried)
    }
  }
}
