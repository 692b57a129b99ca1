// A receipt is checked the moment it arrives: what was minted is used only when the ledger is proven to hold it.

import type { Entry } from '../../src/domain/ledger/entry.js'
import { parseVkey, type NoteKey } from '../../src/domain/ledger/note.js'
import type { Policy } from '../../src/domain/ledger/policy.js'
import { parseProof, type TlogProof } from '../../src/domain/ledger/proof.js'
import { verifyReceipt } from '../../src/domain/ledger/receipt.js'
import { FormatError } from '../../src/domain/ledger/encoding.js'

import { ClientError } from './errors.js'

/** The `ledger` member of a mint's reply. */
export interface LedgerReference {
  origin: string
  index: number
  /** SHA-256, lower-case hex. */
  leafHash: string
  /** A C2SP tlog-proof with the entry in its `extra` line. */
  receipt: string
}

/** What the entry has to say of the mint, beside the JWT itself. */
export type Expected = Readonly<Record<string, string | number>>

/** The key that receipts are checked with. Throws FormatError for a text that is no vkey. */
export function ledgerPolicy(vkey: string): Policy {
  const key: NoteKey = parseVkey(vkey)
  return { logs: [{ key }], witnesses: [], groups: [], quorum: 'none' }
}

/**
 * The proven entry. Throws ClientError `receipt_invalid` unless the receipt proves, under `policy`, the very entry that
 * the reply names, of that type, with those members, and announces `jwt` where one is given.
 */
export function checkReceipt(
  reference: LedgerReference,
  policy: Policy,
  { type, data, jwt }: { type: string; data: Expected; jwt?: string },
): Entry {
  const proof = parsedProof(reference.receipt)
  const verdict = verifyReceipt(proof, policy, { jwt })
  if (!verdict.ok) throw invalid(`the receipt proves nothing: ${verdict.problem}`)
  const { entry, leafHash } = verdict
  if (leafHash !== reference.leafHash || entry.index !== reference.index)
    throw invalid('the receipt proves another entry than the reply names')
  if (entry.type !== type) throw invalid(`the receipt proves a ${entry.type} entry, not a ${type}`)
  for (const [member, value] of Object.entries(data)) {
    if (entry.data[member] !== value) throw invalid(`the entry has another ${member} than the reply`)
  }
  return entry
}

function parsedProof(text: string): TlogProof {
  try {
    return parseProof(text)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw invalid(`the receipt cannot be read: ${error.message}`)
  }
}

function invalid(message: string): ClientError {
  return new ClientError('receipt_invalid', message)
}
