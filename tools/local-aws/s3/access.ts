// Whether a caller may do a thing: its identity policies, the bucket's policy and its session policy together.

import { decide, type Policies } from '../../../src/domain/iam/decide.js'
import { parsePolicy, type Policy, PolicyDocumentError } from '../../../src/domain/iam/policy.js'
import type { Principal } from '../../../src/domain/iam/principal.js'
import type { Account } from '../account.js'
import { type Caller, identityOf } from '../sessions.js'
import { S3Error } from './errors.js'
import type { Bucket } from './store.js'

/** Who asks: a signature, an AWS service in the name of a resource, or no signature at all. */
export type Asker =
  | Caller
  | { kind: 'service'; service: string; sourceArn: string; sourceAccount: string }
  | { kind: 'anonymous' }

export interface Ask {
  action: string
  /** Undefined for what is about the bucket. */
  key?: string | undefined
  /** Condition keys of this request, in lower case; what is undefined is missing. */
  keys?: Readonly<Record<string, string | undefined>>
}

export class Access {
  constructor(readonly account: Account) {}

  /** Throws AccessDenied. */
  require(asker: Asker, bucket: Bucket, ask: Ask): void {
    if (this.allows(asker, bucket, ask)) return
    const name = asker.kind === 'user' || asker.kind === 'session' ? identityOf(asker).arn : asker.kind
    throw new S3Error(
      'AccessDenied',
      `User: ${name} is not authorized to perform: ${ask.action} on resource: "${arnOf(bucket.name, ask.key)}"`,
    )
  }

  allows(asker: Asker, bucket: Bucket, ask: Ask): boolean {
    const request = {
      principal: principalOf(asker),
      action: ask.action,
      resource: arnOf(bucket.name, ask.key),
      context: contextOf(asker, ask),
    }
    return decide(this.#policiesFor(asker, bucket), request) === 'allowed'
  }

  #policiesFor(asker: Asker, { account, policy }: Bucket): Policies {
    const resource = policy?.parsed
    switch (asker.kind) {
      case 'user':
        return { identity: asker.user.policies, resource, sameAccount: asker.user.account === account }
      case 'session': {
        const { roleArn, account: ofSession } = asker.session
        const identity = this.account.roles.get(roleArn)?.policies ?? []
        return { identity, session: sessionPolicy(asker), resource, sameAccount: ofSession === account }
      }
      case 'service':
      case 'anonymous':
        return { identity: [], resource, sameAccount: false }
    }
  }
}

export function arnOf(bucket: string, key?: string): string {
  return `arn:aws:s3:::${bucket}${key === undefined ? '' : `/${key}`}`
}

function principalOf(asker: Asker): Principal {
  switch (asker.kind) {
    case 'user':
      return { type: 'AWS', names: [asker.user.arn], account: asker.user.account }
    case 'session': {
      const { roleArn, arn, account } = asker.session
      return { type: 'AWS', names: [roleArn, arn], account, session: arn }
    }
    case 'service':
      return { type: 'Service', names: [asker.service] }
    case 'anonymous':
      return { type: 'anonymous' }
  }
}

function contextOf(asker: Asker, { keys = {} }: Ask): Map<string, string[]> {
  const context = new Map<string, string[]>()
  const put = (key: string, value: string | undefined) => {
    if (value !== undefined) context.set(key.toLowerCase(), [value])
  }
  for (const [key, value] of Object.entries(keys)) put(key, value)
  switch (asker.kind) {
    case 'session': {
      const { roleArn, account, sourceIdentity, principalTags } = asker.session
      put('aws:PrincipalArn', roleArn)
      put('aws:PrincipalAccount', account)
      put('aws:SourceIdentity', sourceIdentity)
      for (const [tag, value] of principalTags) put(`aws:PrincipalTag/${tag}`, value)
      break
    }
    case 'user':
      put('aws:PrincipalArn', asker.user.arn)
      put('aws:PrincipalAccount', asker.user.account)
      break
    case 'service':
      put('aws:SourceArn', asker.sourceArn)
      put('aws:SourceAccount', asker.sourceAccount)
      break
    case 'anonymous':
  }
  return context
}

/** A session policy that cannot be evaluated in full denies everything. */
function sessionPolicy({ session }: Extract<Caller, { kind: 'session' }>): Policy | undefined {
  if (session.policyArns.length > 0)
    throw new S3Error('AccessDenied', 'the session has managed policies, which local AWS does not know')
  if (session.policy === undefined) return undefined
  try {
    return parsePolicy(JSON.parse(session.policy), 'the session policy', { kind: 'identity' })
  } catch (error) {
    if (error instanceof PolicyDocumentError) throw new S3Error('AccessDenied', error.message)
    throw error
  }
}
