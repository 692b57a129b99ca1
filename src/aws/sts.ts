// What the broker asks of AWS STS. docs/operator-aws.md says what an operator sets up for it.

import type { CredsFailureCode } from '../domain/ledger/events.js'

/** A session STS opened. Three of these are public facts (key id, ARN, expiry); the other two are secrets. */
export interface AwsCredentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  expiresAt: Date
  /** Who STS says the holder is: `arn:aws:sts::<account>:assumed-role/<role>/<session name>`. Only AWS always says it. */
  assumedRoleArn: string | null
}

/** What every session is asked for, however the broker proves that it may have it. */
export interface SessionAsk {
  roleArn: string
  roleSessionName: string
  durationSeconds: number
}

/** What the JWT says of its holder: STS repeats it in its answer. */
export interface WebIdentity {
  issuer: string
  subject: string
  audience: string
  sourceIdentity?: string
}

export interface WebIdentityAsk extends SessionAsk {
  jwt: string
  identity: WebIdentity
}

export interface AssumeRoleAsk extends SessionAsk {
  tags: Readonly<Record<string, string>>
  transitiveTagKeys: readonly string[]
  sourceIdentity?: string
}

/**
 * Why there are no credentials. The message may be shown to the caller and kept in the ledger: one line of at most 512
 * characters, without the JWT and without any key. It has no `cause`: the SDK's errors carry the raw answer with them.
 */
export class StsError extends Error {
  constructor(
    readonly code: CredsFailureCode,
    message: string,
  ) {
    super(message)
    this.name = 'StsError'
  }
}

/**
 * Our own requests had every connection to STS until the time was over: the caller is asked to come back. The ledger has
 * it as a `timeout`, since what it may hold is a closed set.
 */
export class StsOverloaded extends StsError {
  constructor() {
    super(
      'timeout',
      'as many requests to STS are under way as this broker sends at once; come back in a moment',
    )
    this.name = 'StsOverloaded'
  }
}

/**
 * withWebIdentity    exchanges a JWT of the broker's own for a session. Sent unsigned: no AWS credentials take part.
 * assumeRole         opens a session with the broker's own AWS credentials.
 * checkIdentity      resolves when STS answers as it must for either of the above to have a chance. For start and /readyz.
 * describeCredentials  the line an operator looks for in the log. Holds no secret.
 * close              frees the connections. Nothing may be called after it.
 *
 * The first two resolve only with complete credentials, for the role, session name and identity asked for, that are valid
 * now and do not outlive what was asked for; all of them reject with StsError and nothing else. What cannot get better is asked
 * once; what can (see sts-failure.ts) up to three times. Asking again is safe: an answer that was lost on the way is a
 * session whose keys are held by no one, and at most one set of credentials leaves this port. It does show in CloudTrail:
 * one mint may have opened more than one session, all of the same name.
 */
export abstract class Sts {
  /** Which of the two ways a session is asked for. */
  abstract readonly mode: 'web-identity' | 'assume-role'
  /** Where the sessions are meant to be used: part of the reply to the caller. */
  abstract readonly region: string
  abstract withWebIdentity(ask: WebIdentityAsk): Promise<AwsCredentials>
  abstract assumeRole(ask: AssumeRoleAsk): Promise<AwsCredentials>
  abstract checkIdentity(): Promise<void>
  abstract describeCredentials(): string
  abstract close(): void
}
