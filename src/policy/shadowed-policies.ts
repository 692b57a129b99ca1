// A candidate beside the policy in force: what it would decide otherwise is counted and logged, and changes nothing.

import type { Logger } from 'pino'

import { LocalClock } from '../domain/local-time.js'
import type { PolicyDecision } from '../domain/policy-decision.js'
import type { CedarEngine } from './cedar-engine.js'
import type { CandidateStatus, Policies, PolicyQuestion, PolicyStatus } from './policies.js'

export class ShadowedPolicies implements Policies {
  private readonly clock: LocalClock
  private readonly counts = { decisions: 0, differences: 0 }

  constructor(
    private readonly inForce: Policies,
    private readonly candidate: CedarEngine,
    timezone: string,
    private readonly log: Logger,
  ) {
    this.clock = new LocalClock(timezone)
  }

  decide(question: PolicyQuestion): PolicyDecision | undefined {
    const decision = this.inForce.decide(question)
    // Without a policy in force, what gets here is allowed.
    this.compare(question, decision?.verdict ?? 'allow')
    return decision
  }

  probe(question: PolicyQuestion): PolicyDecision | undefined {
    return this.inForce.probe(question)
  }

  status(): PolicyStatus | undefined {
    return this.inForce.status()
  }

  candidateStatus(): CandidateStatus {
    return { ...this.counts }
  }

  private compare(question: PolicyQuestion, verdict: PolicyDecision['verdict']): void {
    const local = this.clock.at(question.at)
    const other = this.candidate.decide({ ...question, local })
    this.counts.decisions += 1
    if (other.verdict === verdict) return
    this.counts.differences += 1
    const { policies, policySha256: candidateSha256 } = other
    const { wallet } = question.caller
    const { kind, roleArn, audience } = question.ask
    this.log.info(
      { candidateSha256, verdict, candidate: other.verdict, policies, wallet, kind, roleArn, audience },
      'the candidate policy decides otherwise',
    )
  }
}
