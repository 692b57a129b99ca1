// What the ledger key signs besides checkpoints, for test/vectors/ledgers.json: good, and wrong in each line of the statement.

import { thumbprint } from '../../src/domain/ledger/jwk.js'
import {
  type AppendHead,
  type SignedKey,
  signAppend,
  signKey,
} from '../../src/domain/ledger/ledger-signature.js'
import { formatVkey, signerFromSeed } from '../../src/domain/ledger/note.js'

import { LedgerBuilder } from './ledger-builder.js'
import { ORIGIN, SEED, SIGNER, VKEY } from './ledger-signer.js'

interface Signed {
  name: string
  vkey: string
  signature: string
  good: boolean
}

export interface SignatureVectors {
  appends: (Signed & AppendHead)[]
  keys: (Signed & SignedKey)[]
}

export function signatureVectors(): SignatureVectors {
  const ledger = LedgerBuilder.opened().oidcMint()
  const { leafHash } = ledger.entries.at(-1)!
  const head: AppendHead = { size: ledger.entries.length, leafHash }
  const kid = thumbprint(ledger.jwk('vector'))
  const key: SignedKey = { kid, thumbprint: kid, state: 'activated' }
  const stranger = formatVkey(signerFromSeed(ORIGIN, 'ed25519', new Uint8Array(32).fill(9)).key)
  const otherLog = formatVkey(signerFromSeed('other.example.com/ledger', 'ed25519', SEED).key)
  const append = { vkey: VKEY, ...head, signature: signAppend(head, SIGNER), good: false }
  const change = { vkey: VKEY, ...key, signature: signKey(key, SIGNER), good: false }
  return {
    appends: [
      { ...append, name: 'good', good: true },
      { ...append, name: 'another size', size: head.size + 1 },
      { ...append, name: 'another entry', leafHash: 'f'.repeat(64) },
      { ...append, name: 'another key', vkey: stranger },
      { ...append, name: 'the ledger of another origin', vkey: otherLog },
      { ...append, name: 'a signature of a key event', signature: change.signature },
      { ...append, name: 'a signature cut off', signature: append.signature.slice(4) },
    ],
    keys: [
      { ...change, name: 'good', good: true },
      { ...change, name: 'another state', state: 'published' },
      { ...change, name: 'another kid', kid: 'other' },
      { ...change, name: 'another JWK', thumbprint: thumbprint(ledger.jwk('other')) },
      { ...change, name: 'another key', vkey: stranger },
      { ...change, name: 'the ledger of another origin', vkey: otherLog },
      { ...change, name: 'a signature of an append', signature: append.signature },
    ],
  }
}
