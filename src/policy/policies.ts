import type { PolicyDecision } from '../domain/policy-decision.js'
import type { PolicyRequest } from '../domain/policy-request.js'

/** A request without what only the policy has to do with: the local time, which it knows the zone of. */
export type PolicyQuestion = Omit<PolicyRequest, 'local'>

/** The operator's policy, as the mints ask it. A class, so that Nest can hand it out by type. */
export abstract class Policies {
  /** Asked once for each mint that the built-in bounds allow. Undefined: there is no policy, and they were all. */
  abstract decide(question: PolicyQuestion): PolicyDecision | undefined

  /** What it would say of another question: never the decision, and not compared with a candidate's. */
  abstract probe(question: PolicyQuestion): PolicyDecision | undefined

  /** Undefined: no policy is configured. */
  abstract status(): PolicyStatus | undefined

  /** Undefined: no candidate is configured, or it could not be loaded. */
  abstract candidateStatus(): CandidateStatus | undefined
}

export interface PolicyStatus {
  sha256: string
  /** Why the set in force is not that of the folder. */
  stale: string | undefined
  /** Decisions that were denials because the policy could not be evaluated. */
  errors: number
}

/** Mints that a candidate was asked of, and those that it would have decided otherwise. */
export interface CandidateStatus {
  decisions: number
  differences: number
}

export const NO_POLICY: Policies = {
  decide: () => undefined,
  probe: () => undefined,
  status: () => undefined,
  candidateStatus: () => undefined,
}
