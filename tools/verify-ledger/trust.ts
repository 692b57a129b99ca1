// Whom to believe: which keys, where they are from, and which witnesses must have signed too.

import {
  type Cosignature,
  type CheckpointProblem,
  type SignedCheckpoint,
  verifyCheckpoint,
} from '../../src/domain/ledger/checkpoint.js'
import { type Finding, finding, type LogProblem } from '../../src/domain/ledger/findings.js'
import type { Opened } from '../../src/domain/ledger/protocol-rules.js'
import { formatVkey, type NoteKey, parseVkey } from '../../src/domain/ledger/note.js'
import { type Policy, quorumMet } from '../../src/domain/ledger/policy.js'

/**
 * given       the reader named the key: only this proves who signed
 * policy      the reader's policy names it
 * remembered  the key of the last run, which was not given either
 * itself      entry 0 of the ledger names it: the author of a forged ledger could have made up the key
 */
export type KeyFrom = 'given' | 'policy' | 'remembered' | 'itself'

export interface Trust {
  keys: readonly NoteKey[]
  from: KeyFrom
  policy: Policy | undefined
}

/** What the reader gave, or remembers; undefined when there is nothing but what the ledger says of itself. */
export function trustIn(
  { vkey, policy }: { vkey?: NoteKey | undefined; policy?: Policy | undefined },
  remembered: NoteKey | undefined,
): Trust | undefined {
  if (vkey) return { keys: [vkey], from: 'given', policy }
  if (policy && policy.logs.length > 0)
    return { keys: policy.logs.map(({ key }) => key), from: 'policy', policy }
  return remembered && { keys: [remembered], from: 'remembered', policy }
}

export function trustInItself({ vkey }: Opened, policy: Policy | undefined): Trust {
  return { keys: [parseVkey(vkey)], from: 'itself', policy }
}

export interface Signed {
  /** Undefined when there is a finding that says why. */
  key: NoteKey | undefined
  cosignatures: readonly Cosignature[]
  findings: Finding[]
}

/** Who signed `checkpoint`. `name` is how the reader knows it. */
export function whoSigned(checkpoint: SignedCheckpoint, name: string, { keys, policy }: Trust): Signed {
  const witnesses = policy?.witnesses.map(({ key }) => key)
  const verdict = verifyCheckpoint(checkpoint, keys, witnesses)
  const last = Math.max(0, checkpoint.size - 1)
  if (!verdict.ok) {
    const [kind, problem] = PROBLEM[verdict.problem]
    return { key: undefined, cosignatures: [], findings: [finding(last, kind, `${name} ${problem}`)] }
  }
  return { key: verdict.log, cosignatures: verdict.cosignatures, findings: [] }
}

const PROBLEM = {
  'unknown-origin': ['wrong-origin', 'is of another origin than the key that is expected'],
  'not-signed-by-log': ['not-signed', 'is not signed by the key that is expected'],
  'bad-signature': ['bad-signature', 'bears a signature of a known key that does not verify'],
} satisfies Record<CheckpointProblem, [LogProblem, string]>

export function quorumFindings(
  { size }: SignedCheckpoint,
  name: string,
  { cosignatures }: Signed,
  { policy }: Trust,
): Finding[] {
  if (!policy) return []
  const cosigned = new Set(cosignatures.map(({ witness }) => formatVkey(witness)))
  if (quorumMet(policy, cosigned)) return []
  const detail = `${name} is cosigned by ${cosigned.size} of the policy's ${policy.witnesses.length} witnesses, which is no quorum`
  return [finding(Math.max(0, size - 1), 'quorum-missing', detail)]
}
