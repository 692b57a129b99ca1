// What AWS makes of a web identity token. jose checks the signature; every rule about claims is AWS's own and is here.
// IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM"; STS API, AssumeRoleWithWebIdentity.

import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'

import type { Provider } from './account.js'
import { StsError, invalidToken } from './errors.js'
import { ALGORITHMS, keyFor, type Algorithm, type UncheckedJwk } from './issuer-keys.js'
import { ROLE_ARN } from './parameters.js'
import { isSourceIdentity, tagsOfClaims, type SessionTags } from './session-tags.js'

/** A token read but not verified: good for finding out whose keys to ask for, and for nothing else. */
export interface UnverifiedToken {
  text: string
  algorithm: Algorithm
  kid: string | undefined
  issuer: string
}

export interface WebIdentity {
  subject: string
  /** What is matched against the provider's client ids: aud, or azp where there are several audiences. */
  audience: string
  /** The aud claim as it came. */
  audiences: string[]
  email: string | undefined
  amr: string[] | undefined
  /** The roles the issuer allows the token for; undefined when it does not say. */
  roles: string[] | undefined
  sourceIdentity: string | undefined
  tags: SessionTags
}

const SKEW_SECONDS = 300

export function readToken(text: string): UnverifiedToken {
  let header: Record<string, unknown>
  let claims: Record<string, unknown>
  try {
    header = decodeProtectedHeader(text)
    claims = decodeJwt(text)
  } catch {
    throw invalidToken(
      'The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)',
    )
  }
  const algorithm = ALGORITHMS.find((known) => known === header['alg'])
  if (!algorithm) throw invalidToken(`The token must be signed with one of ${ALGORITHMS.join(', ')}`)
  const { kid } = header
  if (kid !== undefined && typeof kid !== 'string') throw invalidToken('kid must be a string')
  const { iss } = claims
  if (typeof iss !== 'string') throw invalidToken('The token has no iss')
  return { text, algorithm, kid, issuer: iss }
}

/** Verifies the token with the issuer's keys and reads it by AWS's rules. Throws StsError. */
export async function verifyToken(
  token: UnverifiedToken,
  provider: Provider,
  keys: UncheckedJwk[],
  now: Date,
): Promise<WebIdentity> {
  const key = await keyFor(keys, token.algorithm, token.kid)
  let payload: Uint8Array
  try {
    ;({ payload } = await compactVerify(token.text, key, { algorithms: [token.algorithm] }))
  } catch {
    throw invalidToken('The signature of the token is invalid')
  }
  const claims = JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>
  checkTimes(claims, Math.floor(now.getTime() / 1000))
  return readIdentity(claims, provider)
}

/** An issuer that lists roles must have listed this one. It is asked before any trust policy. */
export function refuseUnlistedRole({ roles }: WebIdentity, roleArn: string): void {
  if (roles && !roles.includes(roleArn))
    throw invalidToken('The identity provider did not authorize the requested role')
}

/** Integers, or integers written as strings. A fraction, which RFC 7519 allows, AWS refuses. */
function numericDate(claims: Record<string, unknown>, name: string): number {
  const value = claims[name]
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value)
  throw invalidToken(value === undefined ? `The token has no ${name}` : `${name} must be an integer`)
}

function checkTimes(claims: Record<string, unknown>, now: number): void {
  const expiry = numericDate(claims, 'exp')
  if (numericDate(claims, 'iat') > now + SKEW_SECONDS)
    throw invalidToken('The token was issued in the future')
  if (claims['nbf'] !== undefined && numericDate(claims, 'nbf') > now + SKEW_SECONDS) {
    throw invalidToken('The token is not valid yet')
  }
  if (now >= expiry + SKEW_SECONDS) {
    const message = `Token expired: current date/time ${now} must be before the expiration date/time ${expiry}`
    throw new StsError('ExpiredTokenException', message)
  }
}

function readIdentity(claims: Record<string, unknown>, { clientIds }: Provider): WebIdentity {
  const audiences = readAudiences(claims['aud'])
  const audience = audiences.length === 1 ? audiences[0] : claims['azp']
  if (audience === undefined) throw invalidToken('A token with several audiences needs azp')
  if (typeof audience !== 'string' || !clientIds.includes(audience))
    throw invalidToken('Incorrect token audience')
  const { email, amr } = claims
  return {
    subject: readSubject(claims['sub']),
    audience,
    audiences,
    email: typeof email === 'string' ? email : undefined,
    amr: Array.isArray(amr) ? amr.filter((method) => typeof method === 'string') : undefined,
    roles: readRoles(claims['https://aws.amazon.com/roles']),
    sourceIdentity: readSourceIdentity(claims['https://aws.amazon.com/source_identity']),
    tags: tagsOfClaims(claims),
  }
}

function readAudiences(aud: unknown): string[] {
  const list: unknown[] = Array.isArray(aud) ? aud : [aud]
  if (list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) return list as string[]
  throw invalidToken(aud === undefined ? 'The token has no aud' : 'aud must be a string or a list of strings')
}

function readSubject(sub: unknown): string {
  // Odd, but seen at AWS: a null subject is the service's own failure, a number becomes text.
  if (sub === null) throw new StsError('InternalFailure', 'The request processing has failed')
  const text = typeof sub === 'number' ? String(sub) : sub
  if (typeof text === 'string' && text.length >= 1 && text.length <= 255) return text
  throw invalidToken(sub === undefined ? 'The token has no sub' : 'sub must have 1 to 255 characters')
}

/** Null is as good as absent; what is no role ARN is passed over; a claim with nothing valid in it allows no role. */
function readRoles(claim: unknown): string[] | undefined {
  if (claim === undefined || claim === null) return undefined
  const list: unknown[] = Array.isArray(claim) ? claim : [claim]
  return list.filter((one): one is string => typeof one === 'string' && ROLE_ARN.test(one))
}

function readSourceIdentity(claim: unknown): string | undefined {
  if (claim === undefined || isSourceIdentity(claim)) return claim
  throw invalidToken('source_identity must be 2 to 64 of letters, digits and _+=,.@-, not starting with aws:')
}
