// What the members of one credential's entries must say of each other. Pure: each function gives what is wrong.

import { STS_AUDIENCE } from './audience.js'
import { isSessionOf } from './aws-role.js'
import { isForAudience, type Scope } from './child-session.js'
import type { EventOf, RefusalReason } from './events.js'
import type { MeaningProblem } from './findings.js'

export interface Problem {
  kind: MeaningProblem
  detail: string
}

/** What STS was about to be asked for, as its announcement has it. */
export interface Announced {
  /** The announcement's own time, in milliseconds. */
  at: number
  roleArn: string
  /** Only CredsRequested announces these two. */
  roleSessionName?: string
  durationSeconds?: number
}

const JWT_TTL_SECONDS = { least: 60, most: 3_600 }

/** How far two honest clocks may be apart: those of two brokers, of AWS and a broker. */
export const CLOCK_SKEW_MS = 5 * 60_000

/** A broker counts refusals for a minute; a machine that was suspended meanwhile, for longer. */
const MAX_SPAN_MS = 24 * 60 * 60_000

/** `at`: the time of the entry, in milliseconds. */
export function* jwtProblems(data: EventOf<'JwtIssued'>['data'], at: number): Generator<Problem> {
  const { wallet, purpose, sub, aud, iat, exp, roleArn } = data
  if (sub !== `agentkeys:agent:${wallet}`)
    yield { kind: 'wrong-subject', detail: 'sub must be agentkeys:agent:<wallet>' }
  const ttl = exp - iat
  const { least, most } = JWT_TTL_SECONDS
  if (ttl < least || ttl > most)
    yield { kind: 'ttl-out-of-bounds', detail: `the JWT is valid for ${ttl} s, not ${least} to ${most}` }
  // A broker takes both from one reading of its clock, in whole seconds for iat.
  if (Math.abs(iat * 1000 - at) > CLOCK_SKEW_MS)
    yield { kind: 'wrong-issue-time', detail: 'iat is more than five minutes from the time of this entry' }
  if (purpose !== 'sts') return
  if (aud !== STS_AUDIENCE)
    yield { kind: 'wrong-audience', detail: `aud of a JWT for STS must be ${STS_AUDIENCE}` }
  if (roleArn === undefined)
    yield { kind: 'wrong-shape', detail: 'JwtIssued: roleArn is missing: purpose sts must name the role' }
}

/** Which roles only read is the operator's to know: that a read-only session was bound to one role is all that entries show. */
export function* scopeProblems(
  scope: Scope,
  { audience, roleArn }: { audience: string; roleArn: string | undefined },
): Generator<Problem> {
  if (!isForAudience(scope, audience))
    yield { kind: 'outside-scope', detail: 'the service is not in the scope of the session' }
  if (scope.readOnly && (audience !== STS_AUDIENCE || roleArn === undefined))
    yield { kind: 'outside-scope', detail: 'a read-only session is given nothing but one AWS role' }
}

/** `at`: the time of the entry that says that they were minted, in milliseconds. */
export function* credentialProblems(
  minted: EventOf<'CredsMinted'>['data'],
  announced: Announced,
  at: number,
): Generator<Problem> {
  const { mintId, roleSessionName, assumedRoleArn, durationSeconds, expiresAt } = minted
  if (announced.roleSessionName !== undefined && announced.roleSessionName !== roleSessionName)
    yield { kind: 'wrong-session-name', detail: 'another role session name was announced' }
  yield* sessionNameProblems({ mintId, roleSessionName })
  if (assumedRoleArn !== null && !isSessionOf(assumedRoleArn, announced.roleArn, roleSessionName))
    yield {
      kind: 'wrong-assumed-role',
      detail: 'assumedRoleArn is not that of the announced role and of roleSessionName',
    }
  if (announced.durationSeconds !== undefined && announced.durationSeconds !== durationSeconds)
    yield { kind: 'wrong-duration', detail: 'another duration was announced' }
  const expires = Date.parse(expiresAt)
  if (expires <= announced.at - CLOCK_SKEW_MS)
    yield { kind: 'wrong-expiry', detail: 'expiresAt is before the credentials were asked for' }
  if (expires > at + durationSeconds * 1000 + CLOCK_SKEW_MS)
    yield { kind: 'wrong-expiry', detail: 'expiresAt is later than durationSeconds after this entry' }
}

/** By its session name, CloudTrail finds the mint. */
export function* sessionNameProblems(data: { mintId: string; roleSessionName: string }): Generator<Problem> {
  if (!data.roleSessionName.endsWith(data.mintId))
    yield { kind: 'wrong-session-name', detail: 'roleSessionName must end with the mintId' }
}

/** Reasons that only one kind of mint can be refused for. */
const KIND_OF_REASON: { readonly [R in RefusalReason]?: string } = {
  'aws-not-configured': 'aws_creds',
  'duration-out-of-bounds': 'aws_creds',
  'audience-not-allowed': 'oidc_jwt',
  'ttl-out-of-bounds': 'oidc_jwt',
}

export function* refusalProblems({ kind, reason }: EventOf<'MintRefused'>['data']): Generator<Problem> {
  const due = KIND_OF_REASON[reason]
  if (due !== undefined && due !== kind)
    yield { kind: 'wrong-reason', detail: `a mint of this kind is never refused for ${reason}` }
}

export function* spanProblems(
  { since, until, counts }: EventOf<'RefusalsCounted'>['data'],
  at: number,
): Generator<Problem> {
  const [begin, end] = [Date.parse(since), Date.parse(until)]
  if (begin > end) yield { kind: 'span-backwards', detail: 'since is later than until' }
  if (end > at + CLOCK_SKEW_MS) yield { kind: 'wrong-span', detail: 'until is later than this entry' }
  if (begin < at - MAX_SPAN_MS)
    yield { kind: 'wrong-span', detail: 'since is more than a day before this entry' }
  if (Object.keys(counts).length === 0) yield { kind: 'wrong-span', detail: 'nothing was counted' }
}
