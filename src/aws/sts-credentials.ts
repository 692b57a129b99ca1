// From an answer of STS to credentials that may be handed over: complete, for what was asked, valid now, and not for longer.

import type { StsKind } from '../config/aws.js'
import { isSessionOf } from '../domain/ledger/aws-role.js'
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

/** An empty success is a failure. Rejecting messages name what is wrong and repeat no value. */
export function usableCredentials(
  answer: StsAnswer,
  ask: SessionAsk,
  { kind, now }: { kind: StsKind; now: number },
): AwsCredentials {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer.Credentials ?? {}
  if (!AccessKeyId) throw without('AccessKeyId')
  if (!SecretAccessKey) throw without('SecretAccessKey')
  if (!SessionToken) throw without('SessionToken')
  if (!Expiration) throw without('Expiration')

  // The key id and the ARN go into the ledger, the rest into files and headers of the caller.
  if (!/^\w{16,128}$/.test(AccessKeyId)) throw unusable('an access key id that is none')
  if (!/^[\x21-\x7e]+$/.test(SecretAccessKey) || !/^[\x21-\x7e]+$/.test(SessionToken))
    throw unusable('a secret that is none')

  const expiresAt = Expiration.getTime()
  if (!(expiresAt > now)) throw unusable('credentials that have expired')
  if (expiresAt > now + ask.durationSeconds * 1000 + CLOCK_SKEW_MS)
    throw unusable('credentials that outlive what was asked for')
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiresAt: Expiration,
    assumedRoleArn: assumedRole(answer, ask, kind),
  }
}

/** AWS always names the session. SeaweedFS leaves the member out, MinIO leaves it empty; what is there must be right. */
function assumedRole(answer: StsAnswer, ask: SessionAsk, kind: StsKind): string | null {
  const arn = answer.AssumedRoleUser?.Arn
  if (arn) {
    if (!isSessionOf(arn, ask.roleArn, ask.roleSessionName))
      throw unusable('credentials for another role or session')
    return arn
  }
  if (kind === 'aws') throw without('AssumedRoleUser.Arn')
  return null
}

function without(member: string) {
  return failure('empty-response', `STS answered 200 without ${member}`)
}

function unusable(what: string) {
  return failure('credentials-unusable', `STS answered 200 with ${what}`)
}
