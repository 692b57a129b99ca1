// Takes a ledger over: entries that no broker signed, because they are from before appends were signed, or because a
// broker stopped in the middle of an append. Deliberate: any party with write access to the store may have written them.

import { chain, type Sealed } from '../domain/ledger/entry.js'
import type { AdoptedKey } from '../domain/ledger/events.js'
import { LedgerSignatures, signAppend, signedLength, signKey } from '../domain/ledger/ledger-signature.js'
import type { Signer } from '../domain/ledger/note.js'
import { keysAfter, type KnownKey, signedStateOf, SigningKeys } from '../domain/ledger/signing-keys.js'
import type { EventStore } from '../event-store/event-store.js'
import { ADVICE, checkFirst, LedgerRefused, sealedOf } from './open-ledger.js'

const PAGE = 1000

/** What there is to take over. */
export interface Unsigned {
  last: Sealed
  /** The first entry behind the last signed head. */
  from: number
  keys: KnownKey[]
}

/** Reads all entries, and checks that they are a chain. Throws LedgerRefused, or the store's StoreError. */
export async function findUnsigned(store: EventStore, signer: Signer): Promise<Unsigned | undefined> {
  const size = await store.size()
  if (size === 0) throw new LedgerRefused(`${store.description} is empty: there is nothing to take over`)
  await checkFirst(store, signer)
  const signatures = new LedgerSignatures(signer.key)
  let keys = new SigningKeys(signatures)
  let last: Sealed | undefined
  let signed = 0
  for (let at = 0; at < size;) {
    const stored = await store.read(at, Math.min(PAGE, size - at))
    if (stored.length === 0)
      throw new LedgerRefused(`${store.description} ends before entry ${at}; ${ADVICE}`)
    const entries = sealedOf(store, last, stored)
    const heads = entries.map(({ leafHash }, i) => ({
      index: at + i,
      leafHash,
      signature: stored[i]?.signature,
    }))
    const length = signedLength(heads, signatures)
    if (length > 0) signed = at + length
    keys = keysAfter(keys, entries)
    last = entries.at(-1)
    at += entries.length
  }
  const unsigned = keys.all().filter(({ unsignedAt }) => unsignedAt !== undefined)
  if (!last || (signed === size && unsigned.length === 0)) return undefined
  return { last, from: Math.min(signed, size - 1), keys: unsigned }
}

/** Appends LedgerAdopted, whose signature covers all entries before it. Resolves with the size then. */
export async function adopt(
  store: EventStore,
  { last, from, keys }: Unsigned,
  { signer, software, now }: { signer: Signer; software: string; now: Date },
): Promise<number> {
  const adopted = keys.map((key): AdoptedKey => {
    const { kid, thumbprint } = key
    const state = signedStateOf(key.state)
    return { kid, state, signature: signKey({ kid, thumbprint, state }, signer) }
  })
  const entry = chain(last, { type: 'LedgerAdopted', data: { from, software, keys: adopted } }, now)
  const size = entry.entry.index + 1
  const signature = signAppend({ size, leafHash: entry.leafHash }, signer)
  await store.append([{ ...entry, signature }], size - 1)
  return size
}
