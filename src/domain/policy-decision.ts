import type { PolicyVerdict } from './ledger/events.js'

/** What the operator's policy says of a mint. */
export interface PolicyDecision {
  readonly verdict: PolicyVerdict
  /** The ids of the policies that decided; of an error, of those that failed. In order. */
  readonly policies: readonly string[]
  readonly policySha256: string
  /** Of the forbids that decided: the operator's words to the caller. */
  readonly reasons: readonly string[]
}
