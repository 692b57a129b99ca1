// What a policy is asked, with as much of it said as a test is about.

import type { MintKind } from '../../src/domain/ledger/events.js'
import type { ChildSession } from '../../src/domain/ledger/child-session.js'
import { LocalClock } from '../../src/domain/local-time.js'
import { type Entitlements, NO_ENTITLEMENTS, type PolicyRequest } from '../../src/domain/policy-request.js'

export const WALLET = `0x${'ab'.repeat(20)}`

export interface Ask {
  wallet?: string
  kind?: MintKind
  audience?: string
  role?: string
  seconds?: number
  agent?: string
  child?: ChildSession
  /** RFC 3339. */
  at?: string
  zone?: string
  entitlements?: Entitlements
}

export function requestOf(ask: Ask = {}): PolicyRequest {
  const at = new Date(ask.at ?? '2026-11-25T10:00:00Z')
  const { wallet = WALLET, kind = 'oidc_jwt', audience = 'sts.amazonaws.com', seconds = 300 } = ask
  return {
    caller: { wallet, backend: 'embedded', agent: ask.agent, child: ask.child },
    ask: { kind, audience, roleArn: ask.role, lifetimeSeconds: seconds },
    at,
    local: new LocalClock(ask.zone ?? 'UTC').at(at),
    entitlements: ask.entitlements ?? NO_ENTITLEMENTS,
  }
}
