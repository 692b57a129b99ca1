// What the broker decides without a policy, in Cedar: something to start from. A property holds the two equal.

import { AWS_SERVICE } from '../domain/ledger/child-session.js'
import { CREDS_DURATION, JWT_TTL, type MintPolicy, STS_AUDIENCE } from '../domain/mint.js'

export function defaultPolicy(policy: MintPolicy): string {
  return [tokens(policy), credentials(policy), scope(policy), readOnly(policy)]
    .filter((text) => text !== undefined)
    .join('\n')
}

function tokens({ jwtTtlSeconds, ...policy }: MintPolicy): string {
  const roles = rolesOf(policy)
  // Cedar follows no negation: it takes an `if` to know that there is a role.
  const role =
    roles.length === 0
      ? '!(context has role)'
      : `(if context has role then ${isOneOf('role', 'Role', roles)} else true)`
  return `@id("tokens")
permit (principal, action == Action::"mint-oidc-jwt", resource)
when {
  ${isOneOf('audience', 'Audience', audiencesOf(policy))} &&
  ${role} &&
  ${lifetime(JWT_TTL.min, jwtTtlSeconds)}
};
`
}

function credentials({ sessionDurationSeconds, ...policy }: MintPolicy): string | undefined {
  const roles = rolesOf(policy)
  if (roles.length === 0) return undefined
  return `@id("aws-credentials")
permit (principal, action == Action::"mint-aws-creds", resource)
when {
  context has role && ${isOneOf('role', 'Role', roles)} &&
  ${lifetime(CREDS_DURATION.min, sessionDurationSeconds)}
};
`
}

/** An audience that is called aws is not AWS: a child gets no token for it. */
function scope(policy: Pick<MintPolicy, 'allowedAudiences'>): string {
  const named = audiencesOf(policy)
    .map((audience) => [audience, audience === STS_AUDIENCE ? AWS_SERVICE : audience] as const)
    .filter(([audience, service]) => audience === STS_AUDIENCE || service !== AWS_SERVICE)
    .map(([audience, service]) => {
      const contained = `context.session.services.contains(${quoted(service)})`
      return `(context.audience == Audience::${quoted(audience)} && ${contained})`
    })
  return `@id("scope")
@reason("the service is not in the scope of this session")
forbid (principal, action, resource)
when { context.session.depth > 0 }
unless {
  ${named.join(' ||\n  ')}
};
`
}

function readOnly({ readOnlyRoleArns }: MintPolicy): string {
  const reads =
    readOnlyRoleArns.length === 0
      ? 'false'
      : `context.audience == Audience::${quoted(STS_AUDIENCE)} && context has role && ${isOneOf('role', 'Role', readOnlyRoleArns)}`
  const unless = reads === 'false' ? '' : `\nunless { ${reads} }`
  return `@id("read-only")
@reason("this session is read-only")
forbid (principal, action, resource)
when { context.session.readOnly }${unless};
`
}

function rolesOf({
  dataRoleArn,
  allowedRoleArns,
}: Pick<MintPolicy, 'dataRoleArn' | 'allowedRoleArns'>): string[] {
  return [...new Set([...(dataRoleArn === undefined ? [] : [dataRoleArn]), ...allowedRoleArns])]
}

function audiencesOf({ allowedAudiences }: Pick<MintPolicy, 'allowedAudiences'>): string[] {
  return [...new Set([STS_AUDIENCE, ...allowedAudiences])]
}

function isOneOf(member: 'role' | 'audience', type: 'Role' | 'Audience', ids: readonly string[]): string {
  return `[${ids.map((id) => `${type}::${quoted(id)}`).join(', ')}].contains(context.${member})`
}

function lifetime(least: number, most: number): string {
  return `context.lifetime >= ${least} && context.lifetime <= ${most}`
}

/** Settings are visible ASCII: only the quote and the backslash mean anything in Cedar. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
