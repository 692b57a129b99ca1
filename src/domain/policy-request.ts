// What the operator's policy is asked of a mint that the built-in bounds allow, and what it answers. Nothing here knows
// the language that the policy is written in.

import { STS_AUDIENCE } from './ledger/audience.js'
import type { EventOf, MintKind } from './ledger/events.js'
import type { LocalTime } from './local-time.js'
import type { PolicyDecision } from './policy-decision.js'
import type { Caller, CredsGrant, JwtGrant, Refusal } from './mint.js'

/** What may be left of a mint once the built-in bounds have been looked at. */
export interface PolicyAsk {
  readonly kind: MintKind
  readonly audience: string
  readonly roleArn: string | undefined
  readonly lifetimeSeconds: number
}

/** What the caller has been given for this very ask: grants that match it, approvals that are not used up. */
export interface Entitlements {
  readonly grants: number
  readonly approvals: number
}

export const NO_ENTITLEMENTS: Entitlements = { grants: 0, approvals: 0 }

export type PolicyCaller = Pick<Caller, 'wallet' | 'backend' | 'agent' | 'child'>

export interface PolicyRequest {
  readonly caller: PolicyCaller
  readonly ask: PolicyAsk
  /** The mint's one reading of the clock, and what the operator's clock says then. */
  readonly at: Date
  readonly local: LocalTime
  readonly entitlements: Entitlements
}

export function askOf(granted: JwtGrant | CredsGrant): PolicyAsk {
  const { roleArn } = granted
  return 'audience' in granted
    ? { kind: 'oidc_jwt', audience: granted.audience, roleArn, lifetimeSeconds: granted.ttlSeconds }
    : { kind: 'aws_creds', audience: STS_AUDIENCE, roleArn, lifetimeSeconds: granted.durationSeconds }
}

/** Undefined: the policy allows it. Which policies there are is the operator's matter: a caller hears the reasons only. */
export function policyRefusal({ verdict, policies, reasons }: PolicyDecision): Refusal | undefined {
  switch (verdict) {
    case 'allow':
      return undefined
    case 'error':
      return { reason: 'policy-error', detail: 'the policy of this broker could not be evaluated' }
    case 'deny': {
      const otherwise =
        policies.length > 0 ? 'a policy of this broker forbids it' : 'no policy of this broker permits it'
      return { reason: 'policy-denied', detail: reasons.length > 0 ? reasons.join('; ') : otherwise }
    }
  }
}

export function policyDecided(
  { mintId, wallet }: Pick<Caller, 'mintId' | 'wallet'>,
  { verdict, policies, policySha256 }: PolicyDecision,
): EventOf<'PolicyDecided'> {
  // In order of name, as in mint.ts.
  const data = { decision: verdict, mintId, policies: [...policies], policySha256, wallet }
  return { type: 'PolicyDecided', data }
}
