// What can happen, as the ledger records it. No secret and no bearer is part of any event.
// docs/ledger-format.md, "The events".

import type { ApprovalEventData } from './approval-events.js'
import type { Json } from './canonical.js'
import type { ChildSession } from './child-session.js'
import type { SignedKeyState } from './ledger-signature.js'
import type { MintKind } from './mint-kind.js'

export type { MintKind }

/** What a JWT was signed for: to be handed to the caller, or to be exchanged at STS by the broker itself. */
export type JwtPurpose = 'oidc_jwt' | 'sts'

export type RefusalReason =
  | 'role-not-allowed'
  | 'aws-not-configured'
  | 'audience-not-allowed'
  | 'ttl-out-of-bounds'
  | 'duration-out-of-bounds'
  | 'service-not-in-scope'
  | 'read-only-session'
  | 'cut-off'
  | 'no-grant'
  | 'policy-denied'
  | 'policy-error'
  | 'approval-required'
  | 'approval-denied'
  | 'too-many-approvals'

/** deny: a forbid held, or no permit did. error: the policy could not be evaluated, and nothing is minted. */
export type PolicyVerdict = 'allow' | 'deny' | 'error'

export type CredsFailureCode =
  | 'access-denied'
  | 'broker-credentials-refused'
  | 'invalid-identity-token'
  | 'key-retrieval-failed'
  | 'expired-token'
  | 'idp-rejected-claim'
  | 'idp-communication-error'
  | 'packed-policy-too-large'
  | 'malformed-policy'
  | 'region-disabled'
  | 'throttled'
  | 'validation-error'
  | 'timeout'
  | 'unreachable'
  | 'empty-response'
  | 'credentials-unusable'
  | 'cut-off'
  | 'session-not-valid'
  | 'unexpected'

export type CutOffKind = 'wallet' | 'session' | 'mint' | 'role'

/** What the operator may cut off, and one of that kind. */
export interface CutOffTarget {
  readonly kind: CutOffKind
  readonly target: string
}

/** The public half of an ES256 key, RFC 7517. */
export interface PublicJwk {
  kty: 'EC'
  crv: 'P-256'
  x: string
  y: string
  kid: string
  alg: 'ES256'
  use: 'sig'
}

/** The ledger key's signature of a key's state (ledger-signature.ts), in base64. Ledgers from before have none. */
interface KeySigned {
  signature?: string
}

/** Vouches for a key that was published before key events were signed. */
export interface AdoptedKey {
  kid: string
  state: SignedKeyState
  signature: string
}

/** Times in data are unix seconds (iat, exp) or RFC 3339 UTC (the rest); durations are seconds. */
export interface EventData extends ApprovalEventData {
  LedgerOpened: { origin: string; vkey: string; software: string }
  /** A holder of the ledger key took over the entries from `from` on, which no broker had signed. */
  LedgerAdopted: { from: number; software: string; keys: AdoptedKey[] }
  BrokerStarted: { node: string; version: string; configSha256: string }
  SigningKeyPublished: { kid: string; alg: 'ES256'; jwk: PublicJwk } & KeySigned
  SigningKeyActivated: { kid: string; alg: 'ES256' } & KeySigned
  SigningKeyRetired: { kid: string; alg: 'ES256' } & KeySigned
  SigningKeyRevoked: { kid: string; alg: 'ES256'; reason: string } & KeySigned
  SessionValidated: { mintId: string; wallet: string; tokenSha256: string; backend: string; agent?: string }
  /** Of a child session: what the decision was bound by, between SessionValidated and what was decided. */
  SessionScoped: { mintId: string; wallet: string } & ChildSession
  /**
   * Where the operator has a policy: what it said of this mint, by which of its policies. Before what was decided is
   * announced, or right after the refusal.
   */
  PolicyDecided: {
    mintId: string
    wallet: string
    policySha256: string
    decision: PolicyVerdict
    policies: string[]
  }
  MintRefused: {
    mintId: string
    wallet: string
    tokenSha256: string
    kind: MintKind
    reason: RefusalReason
    detail?: string
  }
  JwtIssued: {
    mintId: string
    wallet: string
    kid: string
    purpose: JwtPurpose
    sub: string
    aud: string
    iat: number
    exp: number
    signingInputSha256: string
    roleArn?: string
  }
  /** Only in assume-role mode, where no JWT announces what STS will be asked for. */
  CredsRequested: {
    mintId: string
    wallet: string
    roleArn: string
    roleSessionName: string
    durationSeconds: number
  }
  CredsMinted: {
    mintId: string
    wallet: string
    roleArn: string
    roleSessionName: string
    accessKeyId: string
    /** null: an S3-compatible STS did not say whose session it opened. */
    assumedRoleArn: string | null
    expiresAt: string
    durationSeconds: number
  }
  CredsMintFailed: { mintId: string; wallet: string; roleArn: string; code: CredsFailureCode; detail: string }
  /** From here on nothing is minted for the target, nor handed out of what was under way. */
  AccessCutOff: CutOffTarget & { reason?: string }
  AccessRestored: CutOffTarget & { reason?: string }
  /** The wallet may mint what is listed. `from`: the grant of the wallet `by` that it was passed on from. */
  GrantCreated: {
    grantId: string
    wallet: string
    agent?: string
    actions: MintKind[]
    resources: string[]
    uses?: number
    expiresAt: string
    by: string
    from?: string
  }
  GrantRevoked: { grantId: string; by: string; reason?: string }
  /** In the append of the mint, so that no use is spent twice. It uses up the grants that this one comes from as well. */
  GrantUsed: { mintId: string; wallet: string; grantId: string }
  /** From here on the broker `node` decides by this policy. `timezone`: of the hours and weekdays in it. */
  PolicyLoaded: { node: string; sha256: string; policies: number; timezone: string }
  RefusalsCounted: { since: string; until: string; counts: Record<string, number> }
}

export type EventType = keyof EventData

/** One thing that happened, before it has a place in the ledger. */
export type LedgerEvent = { [T in EventType]: { type: T; data: EventData[T] } }[EventType]

export type EventOf<T extends EventType> = Extract<LedgerEvent, { type: T }>

/** An event as data that may come from anyone: the shape is what the entry format promises, no more. */
export interface AnyEvent {
  type: string
  data: { readonly [member: string]: Json }
}
