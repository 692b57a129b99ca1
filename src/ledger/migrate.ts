// A ledger's move to another store: the same entries, byte for byte, at the same places.

import { setTimeout as pause } from 'node:timers/promises'

import type { Sealed } from '../domain/ledger/entry.js'
import { LedgerSignatures, signedLength } from '../domain/ledger/ledger-signature.js'
import { parseVkey } from '../domain/ledger/note.js'
import { unsignedEntries } from '../domain/ledger/unsigned.js'
import { type EntryToAppend, type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { ADVICE, asDamage, LedgerRefused, linked, parsed } from './open-ledger.js'

/** The most that one read asks for, in every store. */
const PAGE = 1000
/** What one append may hold in every store. */
const GROUP = 500
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
 * LedgerRefused when they cannot, or the stores' StoreError. No other process may write to either meanwhile.
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

  await assertSigned(from, size)
  let last: Sealed | undefined
  // One page is on its way while the next one is read and checked.
  let underWay: Promise<void> = Promise.resolve()
  for await (const entries of checked(from, { from: 0, size })) {
    last = entries.at(-1)
    await underWay
    underWay = bring(to, entries, there)
    underWay.catch(() => undefined)
    onProgress?.((last?.entry.index ?? 0) + 1, size)
  }
  await underWay
  await assertCopied(from, to, { size, there, last })
  return { size, copied: size - there }
}

/** Only what a broker signed is moved. The key is the one that entry 0 names: a broker accepts no other. */
async function assertSigned(from: EventStore, size: number): Promise<void> {
  const [first] = await from.read(0, 1)
  const vkey = first && parsed(first).entry.data['vkey']
  if (typeof vkey !== 'string')
    throw new LedgerRefused(`${from.description}: entry 0 names no ledger key: ${ADVICE}`)
  const stored = await from.read(size - 1, 1)
  const heads = stored.map((last) => ({ ...last, leafHash: parsed(last).leafHash }))
  if (signedLength(heads, new LedgerSignatures(parseVkey(vkey))) === 0)
    throw new LedgerRefused(`${from.description}: ${unsignedEntries(size - 1, 1)}`)
}

async function bring(to: EventStore, entries: readonly EntryToAppend[], there: number): Promise<void> {
  const known = entries.filter(({ entry }) => entry.index < there)
  await assertSame(to, known)
  for (const batch of batchesOf(entries.slice(known.length))) await appendSurely(to, batch)
}

/** What was appended is read back: an append that was confirmed is one thing, an entry that is there another. */
async function assertCopied(
  from: EventStore,
  to: EventStore,
  { size, there, last }: { size: number; there: number; last: Sealed | undefined },
): Promise<void> {
  // From the one before the first that was added, so that the two parts are seen to belong together.
  let head: Sealed | undefined
  for await (const entries of checked(to, { from: Math.max(0, there - 1), size })) head = entries.at(-1)
  if (head?.leafHash !== last?.leafHash)
    throw new LedgerRefused(`${to.description} does not end as ${from.description} does: keep it as evidence`)
  if ((await from.size()) !== size || (await to.size()) !== size)
    throw new LedgerRefused('a broker wrote to the ledger meanwhile: stop all brokers, and run this again')
}

/** The entries from `from` up to `size`, a page at a time, each linked to the one before. Reads one page ahead. */
async function* checked(
  store: EventStore,
  { from, size }: { from: number; size: number },
): AsyncGenerator<EntryToAppend[]> {
  let last: Sealed | undefined
  let ahead = store.read(from, Math.min(PAGE, size - from))
  for (let at = from; at < size;) {
    const stored = await ahead
    if (stored.length === 0)
      throw new LedgerRefused(`${store.description} ends before entry ${at}; ${ADVICE}`)
    const first = at
    at += stored.length
    if (at < size) {
      ahead = store.read(at, Math.min(PAGE, size - at))
      // Awaited in its turn, or never, when this page is refused.
      ahead.catch(() => undefined)
    }
    const entries = sealed(store, last, stored, first).map((entry, i) => withSignature(entry, stored[i]))
    last = entries.at(-1)
    yield entries
  }
}

function withSignature(entry: Sealed, stored: Stored | undefined): EntryToAppend {
  return stored?.signature === undefined ? entry : { ...entry, signature: stored.signature }
}

function sealed(
  store: EventStore,
  last: Sealed | undefined,
  stored: readonly Stored[],
  from: number,
): Sealed[] {
  try {
    if (last || from === 0) return linked(last, stored)
    // The first of a later part has nothing to be linked to here: the hash of the last is compared in the end.
    const [first, ...rest] = stored
    const begin = first && parsed(first)
    return begin ? [begin, ...linked(begin, rest)] : []
  } catch (error) {
    throw asDamage(error, store, from)
  }
}

async function assertSame(to: EventStore, entries: readonly Sealed[]): Promise<void> {
  const first = entries[0]?.entry.index ?? 0
  for (let at = 0; at < entries.length;) {
    const page = await to.read(first + at, entries.length - at)
    if (page.length === 0)
      throw new LedgerRefused(`${to.description} ends before entry ${first + at}; ${ADVICE}`)
    const other = page.findIndex(({ text }, i) => text !== entries[at + i]?.text)
    if (other >= 0)
      throw new LedgerRefused(
        `${to.description} holds another ledger: its entry ${first + at + other} is not the one to be moved there`,
      )
    at += page.length
  }
}

function batchesOf(entries: readonly EntryToAppend[]): EntryToAppend[][] {
  const batches: EntryToAppend[][] = []
  let bytes = Infinity
  for (const entry of entries) {
    const length = Buffer.byteLength(entry.text)
    bytes += length
    if (bytes > GROUP_BYTES || batches.at(-1)?.length === GROUP) {
      batches.push([])
      bytes = length
    }
    batches.at(-1)?.push(entry)
  }
  return batches
}

/** Again and again the same bytes at the same place, for as long as that may help. */
async function appendSurely(to: EventStore, batch: EntryToAppend[]): Promise<void> {
  const at = batch[0]?.entry.index ?? 0
  for (let tried = 1; ; tried += 1) {
    try {
      return await to.append(batch, at)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      // After an unknown outcome a conflict may be our own entries, or the first of them: comparing tells. It may also be
      // an append that is accepted and not committed, which cannot be read yet.
      const there = error.code === 'conflict' ? (await to.size()) - at : 0
      if (there > 0) return bringRest(to, batch, there)
      if (error.code === 'refused' || tried === TRIES) throw error
      await pause(RETRY_MS * tried)
    }
  }
}

/** The first `there` of the batch, which must be the ones that are there, need not be brought. */
async function bringRest(to: EventStore, batch: EntryToAppend[], there: number): Promise<void> {
  const known = batch.slice(0, there)
  await assertSame(to, known)
  if (known.length < batch.length) await appendSurely(to, batch.slice(known.length))
}
