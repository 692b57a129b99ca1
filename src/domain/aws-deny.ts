// The IAM policy that ends AWS sessions which were handed out before a cut-off. The broker has no say over them.

import { roleSessionName } from './aws-session.js'
import type { CutOffTarget } from './ledger/events.js'
import { WALLET_TAG } from './mint.js'

/** How far the clocks of AWS, the broker and a caller may be apart. */
const CLOCK_SKEW_SECONDS = 300

/** A token that was signed before the cut-off can be exchanged at STS, by its holder, for as long as it lives. */
export function denyIssuedBefore(cutOffAt: Date, { jwtTtlSeconds }: { jwtTtlSeconds: number }): Date {
  return new Date(cutOffAt.getTime() + (jwtTtlSeconds + CLOCK_SKEW_SECONDS) * 1000)
}

/** Undefined: AWS cannot tell sessions of this kind from others; their wallet it can. */
export function denyPolicy({ kind, target }: CutOffTarget, issuedBefore: string): object | undefined {
  const whose = conditionOf({ kind, target })
  if (!whose) return undefined
  const Condition = { ...whose, DateLessThan: { 'aws:TokenIssueTime': issuedBefore } }
  const Statement = [{ Sid: 'AgentKeysCutOff', Effect: 'Deny', Action: '*', Resource: '*', Condition }]
  return { Version: '2012-10-17', Statement }
}

/** The tag is transitive, so it reaches the sessions of roles that were assumed from the first one. */
function conditionOf({ kind, target }: CutOffTarget): object | undefined {
  switch (kind) {
    case 'wallet':
      return { StringEquals: { [`aws:PrincipalTag/${WALLET_TAG}`]: target } }
    case 'mint':
      return { StringLike: { 'aws:userid': `*:${roleSessionName(target)}` } }
    case 'role':
      return {}
    case 'session':
      return undefined
  }
}
