// Whom a policy speaks of, and who asks. IAM User Guide, "AWS JSON policy elements: Principal".

import type { PolicyKind } from './condition-keys.js'

export type PolicyPrincipal =
  | { type: 'everyone' }
  | { type: 'account'; account: string }
  | { type: 'AWS' | 'Federated' | 'Service'; name: string }

export type Principal =
  /** `names`: every ARN that the caller goes by; a role session is its role and itself. */
  | { type: 'AWS'; names: readonly string[]; account?: string; session?: string }
  | { type: 'Federated' | 'Service'; names: readonly string[] }
  | { type: 'anonymous' }

/**
 * How a policy names a caller. `account` hands the decision to the account's identity policies: it allows nothing by
 * itself. `session` names the one session, which its session policy does not limit.
 */
export type Naming = 'principal' | 'session' | 'account'

export function naming(wanted: PolicyPrincipal, asking: Principal): Naming | undefined {
  switch (wanted.type) {
    case 'everyone':
      return 'principal'
    case 'account':
      return asking.type === 'AWS' && asking.account === wanted.account ? 'account' : undefined
    case 'AWS':
    case 'Federated':
    case 'Service':
      if (asking.type !== wanted.type || !asking.names.includes(wanted.name)) return undefined
      return asking.type === 'AWS' && asking.session === wanted.name ? 'session' : 'principal'
  }
}

const PARTITION = 'arn:aws(?:-cn|-us-gov)?'
const PROVIDER_ARN = new RegExp(`^${PARTITION}:iam::\\d{12}:oidc-provider/.+$`)
const CALLER_ARN = new RegExp(
  `^${PARTITION}:(?:iam::\\d{12}:(?:user|role)/[\\w+=,.@/-]+|sts::\\d{12}:assumed-role/[\\w+=,.@-]+/[\\w+=,.@-]+)$`,
)
const ACCOUNT = new RegExp(`^(?:${PARTITION}:iam::(\\d{12}):root|(\\d{12}))$`)

/** Reads a Principal element; throws an Error that says what would do. */
export function parsePrincipals(value: unknown, kind: PolicyKind): PolicyPrincipal[] {
  if (value === '*' && kind === 'resource') return [{ type: 'everyone' }]
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('must be an object')
  const found = Object.entries(value).flatMap(([type, names]): PolicyPrincipal[] => {
    switch (type) {
      case 'AWS':
        return texts(names, type).map((name) => caller(name, kind))
      case 'Federated':
        return texts(names, type).map((name) => {
          if (PROVIDER_ARN.test(name)) return { type, name }
          throw new Error(`${name} must be the ARN of an OIDC provider`)
        })
      case 'Service':
        return texts(names, type).map((name) => {
          if (/^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com$/.test(name)) return { type, name }
          throw new Error(`${name} must be a service's name, as ses.amazonaws.com`)
        })
      default:
        throw new Error(`${type} is not implemented`)
    }
  })
  if (found.length === 0) throw new Error('must name AWS, Federated or Service principals')
  return found
}

/** In a trust policy, an account would hand the decision to identity policies, and "*" to none. */
function caller(name: string, kind: PolicyKind): PolicyPrincipal {
  if (CALLER_ARN.test(name)) return { type: 'AWS', name }
  const [, root, bare] = ACCOUNT.exec(name) ?? []
  const account = root ?? bare
  if (kind === 'resource' && name === '*') return { type: 'everyone' }
  if (kind === 'resource' && account !== undefined) return { type: 'account', account }
  throw new Error(`${name} must be the ARN of a user, role or role session`)
}

function texts(value: unknown, type: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > 0 && list.every((one) => typeof one === 'string')) return list
  throw new Error(`${type} must be a string or a list of strings`)
}
