// One batch: what several callers hand in, chained as one append.

import { chain, EntryError, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type CutOffs, cutOffsAfter } from '../domain/ledger/cut-offs.js'
import { LedgerError } from '../domain/ledger-error.js'
import { appendProblem, keysAfter, type SigningKeys } from '../domain/ledger/signing-keys.js'

/** What a condition may look at: the ledger as it is before the events, those of the same batch included. */
export interface HeadFacts {
  cutOffs: CutOffs
}

/** Asked where the events are chained: why they must not be appended any more. Undefined: they may. */
export type AppendCondition = (head: HeadFacts) => LedgerError | undefined

/** A caller that waits for the outcome of its events. */
export interface PendingAppend {
  events: readonly LedgerEvent[]
  /** When they were decided: the time of their entries. */
  at: Date
  condition: AppendCondition | undefined
  settled: boolean
  resolve: (entries: Sealed[]) => void
  reject: (error: LedgerError) => void
}

/** A caller with the entries its events became. */
export interface SequencedAppend {
  waiting: PendingAppend
  entries: Sealed[]
}

export interface BatchHead extends HeadFacts {
  last: Sealed | undefined
  keys: SigningKeys | undefined
}

/** Chains the callers' events onto the head, up to so many bytes. `rest`: the callers for whom there was no room. */
export function chainBatch(
  batch: readonly PendingAppend[],
  { last, keys, cutOffs }: BatchHead,
  maxBytes: number,
): { chained: SequencedAppend[]; rest: readonly PendingAppend[] } {
  const chained: SequencedAppend[] = []
  let bytes = 0
  for (const [at, waiting] of batch.entries()) {
    const entries = chainAll(waiting, { last, keys, cutOffs })
    bytes += entries.reduce((sum, { text }) => sum + text.length, 0)
    if (chained.length > 0 && bytes > maxBytes) return { chained, rest: batch.slice(at) }
    if (entries.length > 0) chained.push({ waiting, entries })
    last = entries.at(-1) ?? last
    keys &&= keysAfter(keys, entries)
    cutOffs = cutOffsAfter(cutOffs, entries)
  }
  return { chained, rest: [] }
}

export function resolveCaller({ waiting, entries }: SequencedAppend): void {
  if (waiting.settled) return
  waiting.settled = true
  waiting.resolve(entries)
}

/**
 * A call that was cut off in the middle may leave the first `written` entries of a batch. Whose entries are all there has
 * them; whose are there in part gets nothing, as after a crash; gives those of whom there is nothing.
 */
export function resolveWritten(chained: readonly SequencedAppend[], written: number): PendingAppend[] {
  const nothingThere: PendingAppend[] = []
  let begin = 0
  for (const each of chained) {
    const end = begin + each.entries.length
    if (end <= written) resolveCaller(each)
    else if (begin >= written) nothingThere.push(each.waiting)
    else
      rejectCaller(
        each.waiting,
        new LedgerError('in-doubt', 'the entries were written in part: nothing is handed out'),
      )
    begin = end
  }
  return nothingThere
}

export function rejectCaller(waiting: PendingAppend, error: LedgerError): void {
  if (waiting.settled) return
  waiting.settled = true
  waiting.reject(error)
}

/** One caller's entries. A caller whose events cannot be entries is rejected, and has no entries. */
function chainAll(waiting: PendingAppend, { last, keys, cutOffs }: BatchHead): Sealed[] {
  const entries: Sealed[] = []
  const against = waiting.condition?.({ cutOffs })
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
    "the signing key is not the ledger's active one: start this broker with the active key's BROKER_OIDC_KEYPAIR_PATH",
}
