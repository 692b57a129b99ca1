// The key of the ledgers that tests build: everybody knows it. The seed is 00..1f, the name the origin.

import { createPrivateKey, sign } from 'node:crypto'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import { LedgerSignatures, signAppend } from '../../src/domain/ledger/ledger-signature.js'
import { formatVkey, type Signer, signerFromSeed } from '../../src/domain/ledger/note.js'
import type { EntryToAppend } from '../../src/event-store/event-store.js'

export const ORIGIN = 'broker.example.com/ledger'
export const SEED = Uint8Array.from({ length: 32 }, (_, i) => i)

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A ledger key of another name, or another seed: with Node's Ed25519, which is fast enough for large ledgers. */
export function ledgerSigner(origin = ORIGIN, seed = SEED): Signer {
  const { key } = signerFromSeed(origin, 'ed25519', seed)
  const der = Buffer.concat([PKCS8_ED25519, seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return { key, sign: (message) => sign(null, message, privateKey) }
}

export const SIGNER = ledgerSigner()
export const VKEY = formatVkey(SIGNER.key)
export const SIGNATURES = new LedgerSignatures(SIGNER.key)

/** The entries as one append of a broker: the last one is signed. */
export function signed(entries: readonly Sealed[], signer = SIGNER): EntryToAppend[] {
  return entries.map((entry, i) => (i === entries.length - 1 ? signedEntry(entry, signer) : entry))
}

export function signedEntry(entry: Sealed, signer = SIGNER): EntryToAppend {
  const head = { size: entry.entry.index + 1, leafHash: entry.leafHash }
  return { ...entry, signature: signAppend(head, signer) }
}
