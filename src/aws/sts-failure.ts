// From whatever went wrong to what may be said about it, and whether asking again can help.

import { STSServiceException } from '@aws-sdk/client-sts'

import type { CredsFailureCode } from '../domain/ledger/events.js'
import { ReplyTooLarge } from '../remote/bounded-reply.js'
import { StsError } from './sts.js'

/** The codes STS writes into an <Error>. What is not listed is `unexpected`. */
const CODE_OF_ANSWER = {
  AccessDenied: 'access-denied',
  AccessDeniedException: 'access-denied',
  ExpiredToken: 'broker-credentials-refused',
  ExpiredTokenException: 'expired-token',
  IDPCommunicationError: 'idp-communication-error',
  IDPRejectedClaim: 'idp-rejected-claim',
  IncompleteSignature: 'broker-credentials-refused',
  InvalidClientTokenId: 'broker-credentials-refused',
  InvalidIdentityToken: 'invalid-identity-token',
  InvalidParameterCombination: 'validation-error',
  InvalidParameterValue: 'validation-error',
  MalformedPolicyDocument: 'malformed-policy',
  MissingParameter: 'validation-error',
  PackedPolicyTooLarge: 'packed-policy-too-large',
  RegionDisabledException: 'region-disabled',
  RequestExpired: 'broker-credentials-refused',
  RequestLimitExceeded: 'throttled',
  SignatureDoesNotMatch: 'broker-credentials-refused',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  UnrecognizedClientException: 'broker-credentials-refused',
  ValidationError: 'validation-error',
} satisfies Record<string, CredsFailureCode>

interface Rule {
  /** Asking again may help. Whatever is false here would be false again, and the caller would have waited for it. */
  passing: boolean
  remedy: string
}

const RULES = {
  'access-denied': { passing: false, remedy: 'the trust policy of the role says no' },
  'broker-credentials-refused': {
    passing: false,
    remedy: "check the broker's own AWS credentials and clock",
  },
  'invalid-identity-token': {
    passing: false,
    remedy: 'check the IAM OIDC provider: issuer URL, audience, role',
  },
  'key-retrieval-failed': {
    passing: true,
    remedy: 'AWS must be able to read the JWKS of the issuer over https',
  },
  'expired-token': { passing: false, remedy: "check the broker's clock" },
  'idp-rejected-claim': { passing: false, remedy: 'the identity provider does not vouch for this token' },
  'idp-communication-error': { passing: true, remedy: 'AWS could not reach the issuer' },
  'packed-policy-too-large': { passing: false, remedy: 'fewer or shorter session tags' },
  'malformed-policy': { passing: false, remedy: 'check the session policy' },
  'region-disabled': {
    passing: false,
    remedy: 'enable STS in this region or set BROKER_AWS_REGION to another',
  },
  throttled: { passing: true, remedy: 'too many requests for this account and region' },
  'validation-error': { passing: false, remedy: 'check role ARN and session duration' },
  // No answer in ten seconds: the caller has waited long enough, and STS may have acted.
  timeout: { passing: false, remedy: 'check the network between broker and STS' },
  unreachable: {
    passing: true,
    remedy: 'STS is down, or check the region, AWS_ENDPOINT_URL_STS and the network',
  },
  'cut-off': { passing: false, remedy: 'the operator cut off the caller while STS was asked' },
  'session-not-valid': { passing: false, remedy: 'the session ended while STS was asked' },
  'empty-response': { passing: false, remedy: 'is the endpoint really STS?' },
  'credentials-unusable': { passing: false, remedy: "check the broker's clock and the endpoint" },
  unexpected: { passing: false, remedy: 'see docs/operator-aws.md' },
} satisfies Record<CredsFailureCode, Rule>

/** Failures on the way, of a connection that was never made or broke before the answer was whole. */
const BROKEN_CONNECTION = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/** InvalidIdentityToken says two things: the token is wrong, or AWS could not fetch the key to tell. */
const KEY_RETRIEVAL = /retrieve (?:the )?verification key/i

const LONGEST = 512
const LONGEST_QUOTE = 320

export function isPassing(code: CredsFailureCode): boolean {
  return RULES[code].passing
}

export interface StsRefusal {
  status: number
  wireCode: string
  message: string
}

/** The parts of a well-formed STS error answer; undefined for anything else, a proxy's HTML page included. */
export function stsRefusal(thrown: unknown): StsRefusal | undefined {
  if (!(thrown instanceof STSServiceException)) return undefined
  // The SDK has a name for every status; only an <Error><Code> in the body becomes `Code`.
  const wireCode = 'Code' in thrown ? thrown.Code : undefined
  const status = thrown.$metadata.httpStatusCode ?? 0
  if (typeof wireCode !== 'string' || !/^[A-Za-z][\w.]{1,63}$/.test(wireCode) || status < 400)
    return undefined
  return { status, wireCode, message: thrown.message }
}

/** What to say about an error thrown on the way to STS and back. `secrets` is what the request carried: no part of it is repeated. */
export function failureOf(thrown: unknown, secrets: readonly string[]): StsError {
  if (thrown instanceof StsError) return thrown
  const refusal = stsRefusal(thrown)
  if (refusal) return ofRefusal(refusal, secrets)
  if (!(thrown instanceof Error)) return failure('unexpected', 'the AWS SDK failed')

  if (thrown instanceof ReplyTooLarge) return failure('unexpected', `no answer of STS: ${thrown.message}`)
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  if (code && BROKEN_CONNECTION.has(code)) return failure('unreachable', `no answer from STS: ${code}`)
  // The SDK's name for a connection that was not made in time.
  if (thrown.name === 'TimeoutError') return failure('unreachable', 'no connection to STS in time')
  if (thrown.name === 'CredentialsProviderError' || thrown.name === 'TokenProviderError')
    return failure('broker-credentials-refused', 'the broker found no AWS credentials of its own')

  // TLS, a proxy's answer, something that is no HTTP: the SDK's message may quote the answer, so it is not repeated.
  const status = statusOf(thrown)
  if (status && status >= 500) return failure('unreachable', `HTTP ${status}, but no answer of STS`)
  if (status) return failure('unexpected', `HTTP ${status}, but no answer of STS`)
  return failure('unexpected', `the request to STS failed: ${code ?? thrown.name}`)
}

export function failure(code: CredsFailureCode, what: string): StsError {
  return new StsError(code, cut(`${oneLine(what)} (${RULES[code].remedy})`, LONGEST))
}

function ofRefusal({ status, wireCode, message }: StsRefusal, secrets: readonly string[]): StsError {
  // An STS that fails inside is as good to ask again as one whose connection broke.
  const unknown = status >= 500 ? 'unreachable' : 'unexpected'
  const mapped = Object.hasOwn(CODE_OF_ANSWER, wireCode)
    ? CODE_OF_ANSWER[wireCode as keyof typeof CODE_OF_ANSWER]
    : unknown
  const code =
    mapped === 'invalid-identity-token' && KEY_RETRIEVAL.test(message) ? 'key-retrieval-failed' : mapped
  const quote = oneLine(message.slice(0, 4 * LONGEST_QUOTE))
  if (!repeats(`${wireCode} ${quote}`, secrets))
    return failure(code, `${wireCode}: ${cut(quote, LONGEST_QUOTE)}`)
  const name = mapped === unknown ? 'STS' : wireCode
  return failure(code, `${name}: the message repeated a secret and is withheld`)
}

/** True if 16 characters in a row of a secret are in the text, wrapped or not. */
function repeats(text: string, secrets: readonly string[]): boolean {
  const squeezed = text.replaceAll(/\s/g, '')
  return secrets.some((secret) => {
    const length = Math.min(16, secret.length)
    if (length === 0) return false
    for (let at = 0; at + length <= secret.length; at += 1)
      if (squeezed.includes(secret.slice(at, at + length))) return true
    return false
  })
}

/** Control and format characters (terminal escapes, bidi overrides) and line breaks become one space. */
function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}

function statusOf(error: Error): number | undefined {
  if (!('$metadata' in error)) return undefined
  const { httpStatusCode } = error.$metadata as { httpStatusCode?: unknown }
  return typeof httpStatusCode === 'number' ? httpStatusCode : undefined
}
