// A mint is one request for a credential, from the bearer to the hand-over. What may be asked for, and what the
// ledger and the JWT say of it. Time, ids and the policy come in as arguments.

import { AWS_SERVICE, type ChildSession, isForAudience, type Scope } from './ledger/child-session.js'
import type { CutOffs, Subject } from './ledger/cut-offs.js'
import { STS_AUDIENCE } from './ledger/audience.js'
import type { PolicyDecision } from './policy-decision.js'
import type { EventOf, JwtPurpose, LedgerEvent, MintKind, RefusalReason } from './ledger/events.js'

/** The one audience AWS STS takes. Always allowed. */
export { STS_AUDIENCE }

/** The tag that carries the wallet into AWS, and the claim of the same name. */
export const WALLET_TAG = 'agentkeys_user_wallet'

/** JWT lifetimes, seconds: what may be configured, and so what may stand in the ledger. */
export const JWT_TTL = { min: 60, max: 3600 } as const

/** AWS session durations, seconds: what STS takes. */
export const CREDS_DURATION = { min: 900, max: 43_200 } as const

/** A class, so that Nest can hand it out by type. */
export abstract class MintPolicy {
  abstract readonly issuer: string
  /** The role a caller gets without asking. Undefined: no AWS here. */
  abstract readonly dataRoleArn: string | undefined
  /** What may be asked for beside it, compared as whole strings. */
  abstract readonly allowedRoleArns: readonly string[]
  /** Which of them only read: all that a read-only session may have. */
  abstract readonly readOnlyRoleArns: readonly string[]
  abstract readonly allowedAudiences: readonly string[]
  /** What a caller gets without asking, and the most it may ask for. */
  abstract readonly jwtTtlSeconds: number
  abstract readonly sessionDurationSeconds: number
  /** Whether JWTs and sessions name the wallet as source identity; the role's trust policy must allow it. */
  abstract readonly sourceIdentity: boolean
}

export interface JwtAsk {
  audience?: string | undefined
  ttlSeconds?: number | undefined
  role?: string | undefined
}

export interface CredsAsk {
  role?: string | undefined
  durationSeconds?: number | undefined
}

export interface JwtGrant {
  audience: string
  ttlSeconds: number
  roleArn: string | undefined
  /** Where the operator has a policy: what it said. */
  policy?: PolicyDecision
  /** What the mint uses up. */
  approvalId?: string
}

export interface CredsGrant {
  roleArn: string
  durationSeconds: number
  policy?: PolicyDecision
  /** What the mint uses up. */
  approvalId?: string
}

export interface Refusal {
  reason: RefusalReason
  /** For people: what was expected. What was asked for is repeated only where it is a well-formed role ARN. */
  detail: string
}

/** A grant that a mint may use: what a policy is asked with. */
export interface HeldGrant {
  grantId: string
  /** Before this mint. Undefined: no limit. */
  usesLeft: number | undefined
}

export type Decision<Grant> = { granted: Grant } | { refused: Refusal }

/** May the caller have this JWT? Everything outside the configured lists, and the scope of a child session, is refused. */
export function decideJwt(ask: JwtAsk, policy: MintPolicy, scope?: Scope): Decision<JwtGrant> {
  const audience = ask.audience ?? STS_AUDIENCE
  if (audience !== STS_AUDIENCE && !policy.allowedAudiences.includes(audience)) {
    return refused('audience-not-allowed', `audience must be ${STS_AUDIENCE} or one that this broker allows`)
  }
  const ttlSeconds = ask.ttlSeconds ?? policy.jwtTtlSeconds
  if (ttlSeconds < JWT_TTL.min || ttlSeconds > policy.jwtTtlSeconds) {
    return refused('ttl-out-of-bounds', `ttl_seconds must be ${JWT_TTL.min} to ${policy.jwtTtlSeconds}`)
  }
  const roleArn = ask.role ?? policy.dataRoleArn
  if (ask.role !== undefined && !mayAssume(ask.role, policy)) return roleRefused(ask.role)
  const outside = scope && outsideScope(scope, { audience, roleArn }, policy)
  return outside ?? { granted: { audience, ttlSeconds, roleArn } }
}

/** May the caller have AWS credentials for this role and this long? */
export function decideCreds(ask: CredsAsk, policy: MintPolicy, scope?: Scope): Decision<CredsGrant> {
  const roleArn = ask.role ?? policy.dataRoleArn
  if (roleArn === undefined) return refused('aws-not-configured', AWS_NOT_CONFIGURED)
  if (!mayAssume(roleArn, policy)) return roleRefused(roleArn)
  const durationSeconds = ask.durationSeconds ?? policy.sessionDurationSeconds
  if (durationSeconds < CREDS_DURATION.min || durationSeconds > policy.sessionDurationSeconds) {
    const bounds = `${CREDS_DURATION.min} to ${policy.sessionDurationSeconds}`
    return refused('duration-out-of-bounds', `duration_seconds must be ${bounds}`)
  }
  const outside = scope && outsideScope(scope, { audience: STS_AUDIENCE, roleArn }, policy)
  return outside ?? { granted: { roleArn, durationSeconds } }
}

/** What was granted, unless the operator has cut off whom it is for. */
export function unlessCutOff<Grant extends { roleArn: string | undefined }>(
  decision: Decision<Grant>,
  caller: Caller,
  cutOffs: CutOffs,
): Decision<Grant> {
  if ('refused' in decision) return decision
  const through = cutOffs.covering(subjectOf(caller, decision.granted))
  return through === undefined
    ? decision
    : refused('cut-off', `the operator of this broker has cut off this ${through}`)
}

export function subjectOf(
  { mintId, wallet, tokenSha256, child }: Caller,
  { roleArn }: { roleArn: string | undefined },
): Subject {
  return { mintId, wallet, tokenSha256, parents: child?.parents ?? [], roleArn }
}

/** A token without a role, or for another audience, lets its holder write for all we know. */
function outsideScope(
  scope: Scope,
  { audience, roleArn }: { audience: string; roleArn: string | undefined },
  { readOnlyRoleArns }: MintPolicy,
): { refused: Refusal } | undefined {
  if (!isForAudience(scope, audience)) {
    const service = audience === STS_AUDIENCE ? AWS_SERVICE : 'the audience'
    return refused('service-not-in-scope', `${service} is not among the services of this session's scope`)
  }
  if (!scope.readOnly) return undefined
  const onlyReads = roleArn !== undefined && readOnlyRoleArns.includes(roleArn)
  if (audience === STS_AUDIENCE && onlyReads) return undefined
  return refused(
    'read-only-session',
    `the session is read-only: it may ask for ${STS_AUDIENCE} and a role that this broker lists as read-only`,
  )
}

const AWS_NOT_CONFIGURED =
  'this broker has no AWS role: its operator has to set one to switch AWS credentials on'

function mayAssume(roleArn: string, policy: MintPolicy): boolean {
  return roleArn === policy.dataRoleArn || policy.allowedRoleArns.includes(roleArn)
}

const ROLE_ARN = /^(?:arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512})$/

function roleRefused(roleArn: string): { refused: Refusal } {
  const asked = ROLE_ARN.test(roleArn) ? roleArn : 'the role asked for, which is no role ARN,'
  return refused('role-not-allowed', `${asked} is neither the data role nor another that this broker allows`)
}

function refused(reason: RefusalReason, detail: string): { refused: Refusal } {
  return { refused: { reason, detail } }
}

/** Who asks: a validated session, and the mint that was made of the request. */
export interface Caller {
  mintId: string
  /** The mint's one reading of the clock: of its id, its entries and its token. */
  at: Date
  wallet: string
  tokenSha256: string
  backend: string
  agent: string | undefined
  /** Undefined: no child session, bound by nothing of its own. */
  child: ChildSession | undefined
}

/** What every mint's entries begin with: who asked, and what bound the decision. */
export function mintBegun(caller: Caller): LedgerEvent[] {
  const { mintId, wallet, child } = caller
  if (!child) return [sessionValidated(caller)]
  return [sessionValidated(caller), { type: 'SessionScoped', data: { mintId, wallet, ...child } }]
}

function sessionValidated({
  mintId,
  wallet,
  tokenSha256,
  backend,
  agent,
}: Caller): EventOf<'SessionValidated'> {
  // In order of name, here and in JwtIssued, which are nearly every entry: printed at native speed (canonical.ts).
  const data = { backend, mintId, tokenSha256, wallet }
  return { type: 'SessionValidated', data: agent === undefined ? data : { agent, ...data } }
}

export function mintRefused(
  caller: Caller,
  kind: MintKind,
  { reason, detail }: Refusal,
): EventOf<'MintRefused'> {
  const { mintId, wallet, tokenSha256 } = caller
  return { type: 'MintRefused', data: { detail, kind, mintId, reason, tokenSha256, wallet } }
}

export type Claims = Record<string, unknown> & { sub: string; aud: string; iat: number; exp: number }

/**
 * The claims of a JWT for `caller`. Built from values of known form only: nothing of the request reaches it unlisted.
 * The AWS claims are honoured by STS before the trust policy is looked at, so they bind even where that is too broad.
 */
export function jwtClaims(caller: Caller, grant: JwtGrant, policy: MintPolicy): Claims {
  const { mintId, wallet, at } = caller
  const iat = Math.floor(at.getTime() / 1000)
  return {
    iss: policy.issuer,
    sub: `agentkeys:agent:${wallet}`,
    aud: grant.audience,
    iat,
    exp: iat + grant.ttlSeconds,
    jti: mintId,
    [WALLET_TAG]: wallet,
    'https://aws.amazon.com/tags': {
      principal_tags: { [WALLET_TAG]: [wallet] },
      transitive_tag_keys: [WALLET_TAG],
    },
    ...(grant.roleArn === undefined ? {} : { 'https://aws.amazon.com/roles': [grant.roleArn] }),
    ...(policy.sourceIdentity ? { 'https://aws.amazon.com/source_identity': wallet } : {}),
  }
}

export interface UnsignedJwt {
  kid: string
  claims: Claims
  signingInputSha256: string
}

export function jwtIssued(
  { mintId, wallet }: Caller,
  { kid, claims: { sub, aud, iat, exp }, signingInputSha256 }: UnsignedJwt,
  purpose: JwtPurpose,
  roleArn: string | undefined,
): EventOf<'JwtIssued'> {
  const data =
    roleArn === undefined
      ? { aud, exp, iat, kid, mintId, purpose, signingInputSha256, sub, wallet }
      : { aud, exp, iat, kid, mintId, purpose, roleArn, signingInputSha256, sub, wallet }
  return { type: 'JwtIssued', data }
}
