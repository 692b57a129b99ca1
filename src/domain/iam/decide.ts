// The decision. IAM User Guide, "Policy evaluation logic": an explicit denial wins over every permission; without a
// permission, the answer is no.

import { holds } from './condition.js'
import type { Choice, Policy, Statement } from './policy.js'
import { type Naming, naming, type Principal } from './principal.js'
import { type Context, matches } from './template.js'

export interface Request {
  principal: Principal
  /** As AWS writes it: s3:GetObject. */
  action: string
  /** An ARN. Undefined for a trust policy, which is about its role. */
  resource?: string
  context: Context
}

export interface Policies {
  /** Of the user, or of the role that the session is of. */
  identity: readonly Policy[]
  /** Handed over when the session was opened: it can only narrow. */
  session?: Policy | undefined
  /** Of the bucket. */
  resource?: Policy | undefined
  /** Whether caller and bucket are of one account; else both sides must allow. */
  sameAccount: boolean
}

export type Decision = 'allowed' | 'denied explicitly' | 'not allowed'

export function decide(policies: Policies, request: Request): Decision {
  const { identity, session, resource, sameAccount } = policies
  const all = [...identity, session, resource].filter((policy) => policy !== undefined)
  if (all.some((policy) => applying(policy, 'Deny', request).length > 0)) return 'denied explicitly'
  const allows = (policy: Policy) => applying(policy, 'Allow', request).length > 0
  const isWithin = session === undefined || allows(session)
  const byIdentity = identity.some(allows) && isWithin
  const named = new Set(resource === undefined ? [] : grants(resource, request))
  const byResource = named.has('session') || (named.has('principal') && isWithin)
  const allowed = sameAccount ? byIdentity || byResource : byIdentity && named.size > 0
  return allowed || (request.principal.type !== 'AWS' && byResource) ? 'allowed' : 'not allowed'
}

/** What a trust policy says on its own. */
export function allowedBy(policy: Policy, request: Request): boolean {
  return applying(policy, 'Allow', request).length > 0 && applying(policy, 'Deny', request).length === 0
}

/** The statements that are about this request. */
export function applying(policy: Policy, effect: 'Allow' | 'Deny', request: Request): Statement[] {
  return policy.statements.filter((statement) => statement.effect === effect && applies(statement, request))
}

function applies({ principals, actions, resources, conditions }: Statement, request: Request): boolean {
  const { principal, action, resource, context } = request
  return (
    chosen(actions, action.toLowerCase(), context) &&
    (resources === undefined || (resource !== undefined && chosen(resources, resource, context))) &&
    (principals === undefined || principals.some((one) => naming(one, principal) !== undefined)) &&
    conditions.every((condition) => holds(condition, context))
  )
}

function chosen({ not, templates }: Choice, value: string, context: Context): boolean {
  return templates.some((pieces) => matches(pieces, value, context)) !== not
}

function grants(policy: Policy, request: Request): Naming[] {
  return applying(policy, 'Allow', request)
    .flatMap(({ principals = [] }) => principals.map((one) => naming(one, request.principal)))
    .filter((one) => one !== undefined)
}
