// A request as Cedar takes it. Everything in it is a value of its own: nothing is ever put into the text of a policy, so
// that no quote, star or look-alike letter in it means anything.

import type { CedarValueJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'

import { STS_AUDIENCE } from '../domain/ledger/audience.js'
import type { MintKind } from '../domain/ledger/events.js'
import type { PolicyAsk, PolicyCaller, PolicyRequest } from '../domain/policy-request.js'

export interface CedarRequest {
  principal: TypeAndId
  action: TypeAndId
  resource: TypeAndId
  context: Record<string, CedarValueJson>
}

const ACTION: Record<MintKind, string> = { oidc_jwt: 'mint-oidc-jwt', aws_creds: 'mint-aws-creds' }

export function cedarRequest({ caller, ask, at, local, entitlements }: PolicyRequest): CedarRequest {
  const { audience, roleArn, lifetimeSeconds } = ask
  return {
    principal: { type: 'Wallet', id: caller.wallet },
    action: { type: 'Action', id: ACTION[ask.kind] },
    resource: resourceOf(ask),
    context: {
      session: sessionOf(caller),
      audience: entity('Audience', audience),
      ...(roleArn === undefined ? {} : { role: entity('Role', roleArn) }),
      lifetime: lifetimeSeconds,
      now: { __extn: { fn: 'datetime', arg: at.toISOString() } },
      local: { ...local },
      grants: entitlements.grants,
      approvals: entitlements.approvals,
    },
  }
}

/** A token for another audience than STS may name a role too, which is of no use there: see context.role. */
function resourceOf({ audience, roleArn }: PolicyAsk): TypeAndId {
  return roleArn !== undefined && audience === STS_AUDIENCE
    ? { type: 'Role', id: roleArn }
    : { type: 'Audience', id: audience }
}

function sessionOf({ backend, agent, child }: PolicyCaller): CedarValueJson {
  const { parents = [], readOnly = false, services = [] } = child ?? {}
  return {
    ...(agent === undefined ? {} : { agent }),
    backend,
    // Where the session backend names no parent, the child has one all the same.
    depth: child ? Math.max(1, parents.length) : 0,
    parents: parents.map(({ wallet }) => entity('Wallet', wallet)),
    readOnly,
    services: [...services],
  }
}

function entity(type: string, id: string): CedarValueJson {
  return { __entity: { type, id } }
}
