// Approvals as a mint meets them: whether one is wanted, the request where there is none, the refusal that names it.

import { Injectable } from '@nestjs/common'

import { Config } from '../config.js'
import { BrokerError } from '../domain/errors.js'
import type { ApprovalAsk } from '../domain/ledger/approval-events.js'
import { hashOfAsk } from '../domain/ledger/approvals.js'
import type { ParentSession } from '../domain/ledger/child-session.js'
import type { EventOf, LedgerEvent } from '../domain/ledger/events.js'
import { type Caller, mintRefused, type Refusal } from '../domain/mint.js'
import type { PolicyDecision } from '../domain/policy-decision.js'
import { type PolicyAsk, policyDecided } from '../domain/policy-request.js'
import { LedgerError } from '../domain/ledger-error.js'
import type { AppendCondition } from '../ledger/callers.js'
import { Ledger } from '../ledger/ledger.js'
import { Policies, type PolicyQuestion } from '../policy/policies.js'

export interface ApprovedDecision {
  policy: PolicyDecision | undefined
  /** Uses up this approval. */
  approvalId?: string
  /** The policy would allow it with an approval, and there is none. */
  wanted?: true
}

@Injectable()
export class MintApprovals {
  constructor(
    private readonly ledger: Ledger,
    private readonly policies: Policies,
    private readonly config: Config,
  ) {}

  /** An approval is used only where the policy says no without one, and asked for only where it would say yes with one. */
  decide(question: PolicyQuestion): ApprovedDecision {
    const withApprovals = (approvals: number): PolicyQuestion => {
      return { ...question, entitlements: { ...question.entitlements, approvals } }
    }
    const { wallet, agent, child } = question.caller
    const ask = approvalAskOf({ wallet, agent }, question.ask)
    const standing = this.ledger.approvals.standing(ask, child?.parents ?? [], this.ledger.clock().getTime())
    const approved = standing?.state === 'granted'
    const policy = this.policies.decide(withApprovals(approved ? 1 : 0))
    if (!policy) return { policy }
    if (approved) {
      const isNeeded =
        policy.verdict === 'allow' && this.policies.probe(withApprovals(0))?.verdict !== 'allow'
      return isNeeded ? { policy, approvalId: standing.approvalId } : { policy }
    }
    const wanted = policy.verdict === 'deny' && this.policies.probe(withApprovals(1))?.verdict === 'allow'
    return wanted ? { policy, wanted } : { policy }
  }

  /** Refuses the mint. The request is in the append of the refusal, unless one for this very ask is there already. */
  async require(caller: Caller, asked: PolicyAsk, policy: PolicyDecision): Promise<never> {
    const ask = approvalAskOf(caller, asked)
    const parents = caller.child?.parents ?? []
    for (;;) {
      const at = this.ledger.clock()
      const standing = this.ledger.approvals.standing(ask, parents, at.getTime())
      if (standing?.state === 'denied')
        return this.refuse(caller, asked, policy, { reason: 'approval-denied', detail: DENIED })
      const request = standing ? undefined : this.request(caller, ask, at)
      const { approvalId, expiresAt } = standing ?? (request as EventOf<'ApprovalRequested'>).data
      const refusal: Refusal = { reason: 'approval-required', detail: REQUIRED }
      const events = [mintRefused(caller, asked.kind, refusal), policyDecided(caller, policy)]
      try {
        await this.ledger.append(
          [...events, ...(request ? [request] : [])],
          caller.at,
          stillNone(request, ask, parents),
        )
      } catch (error) {
        const code = error instanceof LedgerError ? error.code : undefined
        // Another request for the same was faster: look again.
        if (code === 'approval-changed') continue
        if (code !== 'approvals-full') throw error
        return this.refuse(caller, asked, policy, { reason: 'too-many-approvals', detail: FULL })
      }
      throw required(approvalId, expiresAt)
    }
  }

  private request(caller: Caller, ask: ApprovalAsk, at: Date): EventOf<'ApprovalRequested'> {
    const { mintId, tokenSha256, child } = caller
    const data = {
      ...ask,
      approvalId: `apr-${this.ledger.newMintId(at)}`,
      ...{ mintId, tokenSha256, parents: [...(child?.parents ?? [])], askSha256: hashOfAsk(ask) },
      expiresAt: new Date(at.getTime() + this.config.approvals.seconds * 1000).toISOString(),
    }
    return { type: 'ApprovalRequested', data }
  }

  private async refuse(
    caller: Caller,
    { kind }: PolicyAsk,
    policy: PolicyDecision,
    refusal: Refusal,
  ): Promise<never> {
    const events: LedgerEvent[] = [mintRefused(caller, kind, refusal), policyDecided(caller, policy)]
    await this.ledger.append(events, caller.at)
    throw new BrokerError(refusal.reason, refusal.detail)
  }
}

const REQUIRED = 'this mint needs an approval: wait until it is approved, then ask again for exactly the same'
const DENIED = 'an approval of this mint was denied'
const FULL = 'too many requests of this wallet wait for a decision'

function required(approvalId: string, expiresAt: string): BrokerError {
  const members = { approval_id: approvalId, poll: `/v1/approvals/${approvalId}`, expires_at: expiresAt }
  return new BrokerError('approval-required', REQUIRED, { members })
}

function stillNone(
  request: EventOf<'ApprovalRequested'> | undefined,
  ask: ApprovalAsk,
  parents: readonly ParentSession[],
): AppendCondition | undefined {
  if (!request) return undefined
  return ({ approvals, at }) => {
    if (approvals.standing(ask, parents, at))
      return new LedgerError('approval-changed', 'requested meanwhile')
    if (approvals.isFull({ wallet: ask.wallet, parents }, at)) return new LedgerError('approvals-full', FULL)
    const problem = approvals.requestProblem(request.data, at)
    return problem && new LedgerError('unavailable', problem.detail)
  }
}

function approvalAskOf(
  { wallet, agent }: Pick<Caller, 'wallet' | 'agent'>,
  { kind, audience, roleArn, lifetimeSeconds }: PolicyAsk,
): ApprovalAsk {
  return {
    ...{ kind, wallet, audience, lifetimeSeconds },
    ...(agent === undefined ? {} : { agent }),
    ...(roleArn === undefined ? {} : { roleArn }),
  }
}
