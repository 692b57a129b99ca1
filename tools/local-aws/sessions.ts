// The sessions this STS has made, and who a signed request comes from.

import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'

import { type Account, type Role, type User } from './account.js'
import { StsError } from './errors.js'
import type { SessionTags } from './session-tags.js'
import { readSignature, verifySignature, type Seed, type SignedRequest } from './sigv4.js'

export interface Session {
  accessKeyId: string
  roleArn: string
  roleSessionName: string
  /** arn:aws:sts::<account>:assumed-role/<role>/<session name> */
  arn: string
  account: string
  /** <role id>:<session name> */
  userId: string
  expiresAt: Date
  sourceIdentity: string | undefined
  tags: SessionTags
  /** What a policy sees as aws:PrincipalTag: the role's tags under the session's. */
  principalTags: ReadonlyMap<string, string>
  /** What S3 lets the session do is within this policy. */
  policy: string | undefined
  /** Managed policies, which do not exist here: S3 refuses a session that has some. */
  policyArns: readonly string[]
}

interface Keys {
  secretAccessKey: string
  sessionToken: string
}

export type Caller = { kind: 'user'; user: User } | { kind: 'session'; session: Session }

export interface Opened {
  session: Session
  keys: Keys
}

export type Opening = Pick<
  Session,
  'roleSessionName' | 'sourceIdentity' | 'tags' | 'principalTags' | 'policy' | 'policyArns'
>

/** Far more than a test opens; the oldest are forgotten, so that a load test cannot fill the memory. */
const MAX_SESSIONS = 20_000

export class Sessions {
  readonly #opened = new Map<string, Opened>()

  open(role: Role, expiresAt: Date, opening: Opening): Opened {
    const session: Session = {
      ...opening,
      accessKeyId: `ASIA${base32(16)}`,
      roleArn: role.arn,
      arn: `arn:aws:sts::${role.account}:assumed-role/${role.name}/${opening.roleSessionName}`,
      account: role.account,
      userId: `${uniqueId('AROA', role.arn)}:${opening.roleSessionName}`,
      expiresAt,
    }
    const keys = { secretAccessKey: randomBytes(30).toString('base64'), sessionToken: sessionToken() }
    const opened = { session, keys }
    this.#opened.set(session.accessKeyId, opened)
    const oldest = this.#opened.size > MAX_SESSIONS ? this.#opened.keys().next().value : undefined
    if (oldest !== undefined) this.#opened.delete(oldest)
    return opened
  }

  find(accessKeyId: string): Session | undefined {
    return this.#opened.get(accessKeyId)?.session
  }

  /** Who signed `request`. Throws as STS refuses: no signature, unknown key, wrong signature, expired session. */
  authenticate(request: SignedRequest, account: Account, now: Date): Caller {
    return this.verify(request, account, now).caller
  }

  /** As authenticate, with what the signatures of a body's chunks go on from. */
  verify(request: SignedRequest, account: Account, now: Date): { caller: Caller; seed: Seed } {
    const signature = readSignature(request)
    const user = account.users.get(signature.accessKeyId)
    if (user && signature.sessionToken === undefined) {
      const seed = verifySignature(request, signature, user.secretAccessKey, now)
      return { caller: { kind: 'user', user }, seed }
    }
    const opened = this.#opened.get(signature.accessKeyId)
    if (!opened || !same(opened.keys.sessionToken, signature.sessionToken ?? '')) {
      throw new StsError('InvalidClientTokenId', 'The security token included in the request is invalid.')
    }
    const seed = verifySignature(request, signature, opened.keys.secretAccessKey, now)
    if (now >= opened.session.expiresAt) {
      throw new StsError('ExpiredToken', 'The security token included in the request is expired')
    }
    return { caller: { kind: 'session', session: opened.session }, seed }
  }
}

/** Who the caller is, as GetCallerIdentity says it. */
export function identityOf(caller: Caller): { arn: string; userId: string; account: string } {
  switch (caller.kind) {
    case 'session':
      return caller.session
    case 'user':
      return { arn: caller.user.arn, userId: uniqueId('AIDA', caller.user.arn), account: caller.user.account }
  }
}

/** IAM's unique ids: the same for an ARN every time, and never derived from its name. */
function uniqueId(prefix: 'AROA' | 'AIDA', arn: string): string {
  const digest = createHash('sha256').update(arn).digest()
  return prefix + Array.from(digest.subarray(0, 17), (byte) => BASE32[byte % 32]).join('')
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function base32(length: number): string {
  return Array.from(randomBytes(length), (byte) => BASE32[byte % 32]).join('')
}

/** AWS promises nothing about a token's length, so it differs from one to the next. */
function sessionToken(): string {
  return `LocalAwsSession${randomBytes(randomInt(240, 720)).toString('base64')}`
}

function same(expected: string, given: string): boolean {
  const [a, b] = [expected, given].map((text) => createHash('sha256').update(text).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b)
}
