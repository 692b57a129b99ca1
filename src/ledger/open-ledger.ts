// Is this the ledger we know, and did brokers write its end? Asked once, before the first append.

import { setTimeout as pause } from 'node:timers/promises'

import { chain, type Entry, EntryError, parseEntry, type Sealed } from '../domain/ledger/entry.js'
import {
  LedgerSignatures,
  type MaybeSigned,
  signAppend,
  signedLength,
} from '../domain/ledger/ledger-signature.js'
import { formatVkey, type Signer } from '../domain/ledger/note.js'
import { type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { UNSIGNED_FOR_MS, unsignedEntries } from '../domain/ledger/unsigned.js'

/** Between looks at what another broker has begun to write. */
const LOOK_AGAIN_MS = 100
/** Then the start fails, and the service manager's next one goes on. */
const OPENED_WITHIN_MS = 60_000

/** How many of the latest entries are checked at start. The whole ledger is verify-ledger's work. */
const TAIL = 500

export const NAME_ANOTHER = 'point BROKER_LEDGER_URL (in EventStoreDB BROKER_LEDGER_STREAM) at a new ledger'
export const ADVICE = 'run verify-ledger, keep the evidence, and restore the ledger from a copy that verifies'

export interface LedgerIdentity {
  /** The ledger's own key; its name is the origin. */
  signer: Signer
  software: string
}

/** The ledger is not the one the configuration speaks of, or it is damaged. The message says what to do. */
export class LedgerRefused extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'LedgerRefused'
  }
}

/**
 * The ledger's last entry, after checking that entry 0 names our origin and key and that the tail is a chain which a holder
 * of the ledger key has signed to its end. An empty ledger is opened: LedgerOpened is durable when this resolves. Throws LedgerRefused, or the store's StoreError.
 */
export async function openLedger(store: EventStore, identity: LedgerIdentity, now: Date): Promise<Sealed> {
  const { signer, software } = identity
  const { name: origin } = signer.key
  const until = performance.now() + OPENED_WITHIN_MS
  for (let attempt = 0; ; attempt += 1) {
    const size = await store.size()
    if (size > 0) {
      await checkFirst(store, signer)
      return signedEnd(store, size, new LedgerSignatures(signer.key))
    }
    const data = { origin, vkey: formatVkey(signer.key), software }
    const first = chain(undefined, { type: 'LedgerOpened', data }, now)
    const signature = signAppend({ size: 1, leafHash: first.leafHash }, signer)
    try {
      await store.append([{ ...first, signature }], 0)
    } catch (error) {
      // Another broker opened it first, or our own entry is there and only its answer was lost: look again. What holds
      // the place may not be committed yet: until it can be read, only the same bytes may be tried again.
      const look = error instanceof StoreError && (error.code === 'conflict' || error.code === 'unknown')
      if (!look || performance.now() > until) throw error
      await pause(LOOK_AGAIN_MS * 2 ** Math.min(attempt, 4))
    }
  }
}

/** Throws LedgerRefused for a ledger of another origin or key. */
export async function checkFirst(store: EventStore, { key }: Signer): Promise<void> {
  const { vkey } = await openedAs(store, key.name)
  if (vkey !== formatVkey(key)) {
    throw new LedgerRefused(
      `${store.description} was opened with another ledger key (${JSON.stringify(vkey)}): ` +
        `put that key back at BROKER_LEDGER_KEY_PATH, or ${NAME_ANOTHER}`,
    )
  }
}

/** What entry 0 says, which must be of this origin. Throws LedgerRefused. */
export async function openedAs(store: EventStore, expected: string): Promise<Entry['data']> {
  const [first] = await entriesOf(store, undefined, 0, 1)
  const type = first?.entry.type ?? 'missing'
  const data = first?.entry.data ?? {}
  if (type !== 'LedgerOpened') {
    throw new LedgerRefused(
      `${store.description}: entry 0 is ${type}, not LedgerOpened: this is no AgentKeys ledger`,
    )
  }
  if (data['origin'] !== expected) {
    throw new LedgerRefused(
      `${store.description} is the ledger of ${JSON.stringify(data['origin'])}, and this broker's is ${expected}: ` +
        `set BROKER_LEDGER_ORIGIN (or BROKER_OIDC_ISSUER) back, or ${NAME_ANOTHER}`,
    )
  }
  return data
}

/**
 * The last entry, when it is signed. A broker whose append was cut off in the middle signs the part with its next append:
 * for a moment that is waited for.
 */
async function signedEnd(store: EventStore, size: number, signatures: LedgerSignatures): Promise<Sealed> {
  const until = performance.now() + UNSIGNED_FOR_MS
  for (let end = size; ; end = await store.size()) {
    const { entries, last } = await checkTail(store, end)
    const signed = signedLength(entries, signatures)
    if (last && signed === entries.length) return last
    const unsigned = signed === 0 ? end : entries.length - signed
    if (performance.now() > until)
      throw new LedgerRefused(`${store.description}: ${unsignedEntries(end - unsigned, unsigned)}`)
    await pause(LOOK_AGAIN_MS)
  }
}

async function checkTail(store: EventStore, size: number) {
  const from = Math.max(0, size - TAIL)
  const before = from === 0 ? undefined : (await entriesOf(store, undefined, from - 1, 1))[0]
  const tail: MaybeSigned[] = []
  let last = before
  for (let at = from; at < size;) {
    const stored = await store.read(at, size - at)
    if (stored.length === 0)
      throw new LedgerRefused(`${store.description} ends before its size of ${size} entries; ${ADVICE}`)
    const entries = sealedOf(store, last, stored)
    for (const [i, { leafHash }] of entries.entries())
      tail.push({ index: at + i, leafHash, signature: stored[i]?.signature })
    last = entries.at(-1)
    at += entries.length
  }
  return { entries: tail, last }
}

async function entriesOf(store: EventStore, last: Sealed | undefined, from: number, limit: number) {
  return sealedOf(store, last, await store.read(from, limit))
}

/** The stored texts as entries, linked to `last` where it is known. Throws LedgerRefused. */
export function sealedOf(store: EventStore, last: Sealed | undefined, stored: readonly Stored[]): Sealed[] {
  const from = stored[0]?.index ?? 0
  try {
    return last || from === 0 ? linked(last, stored) : stored.map(parsed)
  } catch (error) {
    throw asDamage(error, store, from)
  }
}

/** What an EntryError says of the ledger it was read from; any other error as it is. `from`: where reading began. */
export function asDamage(error: unknown, { description }: EventStore, from: number): unknown {
  if (!(error instanceof EntryError)) return error
  return new LedgerRefused(`${description} is damaged at or after entry ${from}: ${error.message}; ${ADVICE}`)
}

/** The stored texts as entries that follow `last`. Throws EntryError for the first that does not. */
export function linked(last: Sealed | undefined, stored: readonly Stored[]): Sealed[] {
  const entries: Sealed[] = []
  for (const each of stored) {
    const { index } = each
    const before: Sealed | undefined = entries.at(-1) ?? last
    const sealed = parsed(each)
    const follows = before
      ? sealed.entry.index === before.entry.index + 1 && sealed.entry.prev === before.leafHash
      : sealed.entry.index === 0
    if (!follows || sealed.entry.index !== index) {
      throw new EntryError('malformed', `entry ${index} does not follow from the one before it`)
    }
    entries.push(sealed)
  }
  return entries
}

/** As parseEntry, and an EntryError names the entry. */
export function parsed({ index, text }: Stored): Sealed {
  try {
    return parseEntry(text)
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    throw new EntryError(error.problem, `entry ${index}: ${error.message}`)
  }
}
