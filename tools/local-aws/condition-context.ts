// The condition context: everything a trust policy can ask about one call.
// IAM User Guide, "AWS global condition context keys" and "IAM and AWS STS condition context keys".

import type { Context } from '../../src/domain/iam/template.js'
import type { Provider } from './account.js'
import type { Ask } from './parameters.js'
import type { SessionTags } from './session-tags.js'
import { identityOf, type Caller } from './sessions.js'
import type { WebIdentity } from './web-identity.js'

/** What a trust policy sees of AssumeRoleWithWebIdentity. */
export function webContext(ask: Ask, provider: Provider, identity: WebIdentity): Context {
  const context = askContext(ask, identity.tags, identity.sourceIdentity)
  const put = contextWriter(context)
  put('aws:FederatedProvider', [provider.arn])
  put(`${provider.name}:aud`, [identity.audience])
  put(`${provider.name}:oaud`, identity.audiences)
  put(`${provider.name}:sub`, [identity.subject])
  put(`${provider.name}:amr`, identity.amr)
  put(`${provider.name}:email`, identity.email === undefined ? undefined : [identity.email])
  // True or missing, never false: a token whose list lacks the role has been refused before.
  put('sts:RoleAuthorizedByIdp', identity.roles && ['true'])
  return context
}

export type ChainedAsk = { ask: Ask; caller: Caller; tags: SessionTags; sourceIdentity: string | undefined }

/** What a trust policy sees of AssumeRole. */
export function callerContext(
  { ask, caller, tags, sourceIdentity }: ChainedAsk,
  externalId: string | undefined,
): Context {
  const context = askContext(ask, tags, sourceIdentity)
  const put = contextWriter(context)
  put('aws:PrincipalArn', [caller.kind === 'session' ? caller.session.roleArn : caller.user.arn])
  put('aws:PrincipalAccount', [identityOf(caller).account])
  put('sts:ExternalId', externalId === undefined ? undefined : [externalId])
  if (caller.kind === 'session') {
    for (const [key, value] of caller.session.principalTags) put(`aws:PrincipalTag/${key}`, [value])
  }
  return context
}

function askContext(
  { roleSessionName }: Ask,
  { tags, transitiveKeys }: SessionTags,
  sourceIdentity: string | undefined,
) {
  const context = new Map<string, string[]>()
  const put = contextWriter(context)
  put('sts:RoleSessionName', [roleSessionName])
  put('sts:SourceIdentity', sourceIdentity === undefined ? undefined : [sourceIdentity])
  for (const [key, value] of tags) put(`aws:RequestTag/${key}`, [value])
  put('aws:TagKeys', tags.size > 0 ? [...tags.keys()] : undefined)
  put('sts:TransitiveTagKeys', transitiveKeys.length > 0 ? [...transitiveKeys] : undefined)
  return context
}

function contextWriter(context: Map<string, string[]>) {
  return (key: string, values: string[] | undefined): void => {
    if (values) context.set(key.toLowerCase(), values)
  }
}
