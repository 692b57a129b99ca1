// From an answer of STS to credentials that may be handed over: complete, for what was asked, valid now, and not for longer.

import { failure } from './sts-failure.js'
import type { AwsCredentials, SessionAsk } from './sts.js'

/** What both AssumeRole answers have in common, as the SDK gives it: nothing about it is believed yet. */
export interface StsAnswer {
  Credentials?:
    | {
        AccessKeyId?: string | undefined
        SecretAccessKey?: string | undefined
        SessionToken?: string | undefined
        Expiration?: Date | undefined
      }
    | undefined
  AssumedRoleUser?: { Arn?: string | undefined } | undefined
}

/** How far the clocks of AWS and the broker may be apart. */
const CLOCK_SKEW_MS = 5 * 60_000

const ROLE_ARN =
  /^arn:(?<partition>[\w-]+):iam::(?<account>\d{12}):role\/(?:[\x21-\x7e]+\/)?(?<role>[\w+=,.@-]+)$/

/** An empty success is a failure. Rejecting messages name what is wrong and repeat no value. */
export function usableCredentials(answer: StsAnswer, ask: SessionAsk, now: number): AwsCredentials {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer.Credentials ?? {}
  const assumedRoleArn = answer.AssumedRoleUser?.Arn
  if (!AccessKeyId) throw without('AccessKeyId')
  if (!SecretAccessKey) throw without('SecretAccessKey')
  if (!SessionToken) throw without('SessionToken')
  if (!Expiration) throw without('Expiration')
  if (!assumedRoleArn) throw without('AssumedRoleUser.Arn')

  // The key id and the ARN go into the ledger, the rest into files and headers of the caller.
  if (!/^\w{16,128}$/.test(AccessKeyId)) throw unusable('an access key id that is none')
  if (!/^[\x21-\x7e]+$/.test(SecretAccessKey) || !/^[\x21-\x7e]+$/.test(SessionToken))
    throw unusable('a secret that is none')
  if (!isSessionOf(assumedRoleArn, ask)) throw unusable('credentials for another role or session')

  const expiresAt = Expiration.getTime()
  if (!(expiresAt > now)) throw unusable('credentials that have expired')
  if (expiresAt > now + ask.durationSeconds * 1000 + CLOCK_SKEW_MS)
    throw unusable('credentials that outlive what was asked for')
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiresAt: Expiration,
    assumedRoleArn,
  }
}

function without(member: string) {
  return failure('empty-response', `STS answered 200 without ${member}`)
}

function unusable(what: string) {
  return failure('credentials-unusable', `STS answered 200 with ${what}`)
}

/** An assumed-role ARN has the role's name without its path. IAM tells role names apart without regard to case. */
function isSessionOf(assumedRoleArn: string, { roleArn, roleSessionName }: SessionAsk): boolean {
  const { partition, account, role } = ROLE_ARN.exec(roleArn)?.groups ?? {}
  if (!partition || !account || !role) return false
  const [prefix, assumedRole, session, ...rest] = assumedRoleArn.split('/')
  return (
    prefix === `arn:${partition}:sts::${account}:assumed-role` &&
    assumedRole?.toLowerCase() === role.toLowerCase() &&
    session === roleSessionName &&
    rest.length === 0
  )
}
