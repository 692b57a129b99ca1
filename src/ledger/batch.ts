// One batch: what several callers hand in, chained as one append.

import { chain, EntryError, type Sealed } from '../domain/ledger/entry.js'
import { cutOffsAfter } from '../domain/ledger/cut-offs.js'
import { LedgerError } from '../domain/ledger-error.js'
import { signAppend } from '../domain/ledger/ledger-signature.js'
import type { Signer } from '../domain/ledger/note.js'
import type { EntryToAppend } from '../event-store/event-store.js'
import { type HeadFacts, type PendingAppend, rejectCaller, type SequencedAppend } from './callers.js'
import { appendProblem, keysAfter } from '../domain/ledger/signing-keys.js'

export interface BatchHead extends Omit<HeadFacts, 'at'> {
  last: Sealed | undefined
}

/** Chains the callers' events onto the head, up to so many bytes. `rest`: the callers for whom there was no room. */
export function chainBatch(
  batch: readonly PendingAppend[],
  { last, keys, cutOffs, ...durable }: BatchHead,
  maxBytes: number,
): { chained: SequencedAppend[]; rest: readonly PendingAppend[] } {
  const chained: SequencedAppend[] = []
  const grants = durable.grants.draft()
  const approvals = durable.approvals.draft()
  let bytes = 0
  for (const [at, waiting] of batch.entries()) {
    const entries = chainAll(waiting, { last, keys, cutOffs, grants, approvals })
    bytes += entries.reduce((sum, { text }) => sum + text.length, 0)
    if (chained.length > 0 && bytes > maxBytes) return { chained, rest: batch.slice(at) }
    if (entries.length > 0) chained.push({ waiting, entries })
    last = entries.at(-1) ?? last
    keys &&= keysAfter(keys, entries)
    cutOffs = cutOffsAfter(cutOffs, entries)
    for (const { entry } of entries) {
      grants.take(entry)
      approvals.take(entry)
    }
  }
  return { chained, rest: [] }
}

/** Signs the end of the batch: the leaf hash of the last entry covers all of them, and all before. */
export function signed(entries: readonly Sealed[], signer: Signer): EntryToAppend[] {
  return entries.map((each, i) => {
    if (i < entries.length - 1) return each
    const { entry, leafHash } = each
    return { ...each, signature: signAppend({ size: entry.index + 1, leafHash }, signer) }
  })
}

/** One caller's entries. A caller whose events cannot be entries is rejected, and has no entries. */
function chainAll(waiting: PendingAppend, { last, keys, ...facts }: BatchHead): Sealed[] {
  const entries: Sealed[] = []
  const at = Math.max(waiting.at.getTime(), last ? Date.parse(last.entry.time) : 0)
  const against = waiting.condition?.({ ...facts, keys, at })
  if (against) {
    rejectCaller(waiting, against)
    return []
  }
  const problem = keys && appendProblem(waiting.events, keys)
  if (problem) {
    rejectCaller(waiting, new LedgerError(problem, KEY_PROBLEM[problem]))
    return []
  }
  try {
    for (const event of waiting.events) entries.push(chain(entries.at(-1) ?? last, event, waiting.at))
    return entries
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    rejectCaller(waiting, new LedgerError('too-large', error.message))
    return []
  }
}

const KEY_PROBLEM = {
  'keys-changed': 'another broker changed the signing keys at the same moment',
  'key-not-active':
    "the signing key is not the ledger's active one any more: ask again; if that does not help, start this broker with " +
    "the active key's BROKER_OIDC_KEYPAIR_PATH",
}
