// An issuer's keys, as AWS fetches and reads them. Stricter than jose, which would take some of what AWS refuses.

import { X509Certificate } from 'node:crypto'

import { importJWK, type CryptoKey, type JWK } from 'jose'

import { isWebUrl } from './account.js'
import { KEY_RETRIEVAL_MESSAGE, StsError, invalidToken } from './errors.js'

export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

/** A member of a JWKS, not yet believed. */
export type UncheckedJwk = Record<string, unknown>

/** AWS gives an issuer about five seconds for both documents. */
export const KEY_FETCH_TIMEOUT_MS = 5000
const MAX_DOCUMENT_BYTES = 512 * 1024

/**
 * The JWKS of `issuer`, by way of its discovery document. Fetched again for every token: AWS keeps keys for a time it does
 * not publish, and a test should see a rotation at once.
 */
export async function fetchKeys(issuer: string, timeoutMs: number): Promise<UncheckedJwk[]> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const discovery = await fetchJson(`${issuer}/.well-known/openid-configuration`, signal)
    if (discovery['issuer'] !== issuer) throw new Error('the discovery document names another issuer')
    const jwksUri = discovery['jwks_uri']
    if (typeof jwksUri !== 'string' || !isWebUrl(jwksUri))
      throw new Error('jwks_uri must be https, or http on loopback')
    const { keys } = await fetchJson(jwksUri, signal)
    if (!Array.isArray(keys) || !keys.every(isObject)) throw new Error('the JWKS has no keys')
    return keys
  } catch (cause) {
    const error = new StsError('InvalidIdentityToken', KEY_RETRIEVAL_MESSAGE)
    error.cause = cause
    throw error
  }
}

async function fetchJson(url: string, signal: AbortSignal): Promise<Record<string, unknown>> {
  const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } })
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`)
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length > MAX_DOCUMENT_BYTES)
      throw new Error(`${url} answered more than ${MAX_DOCUMENT_BYTES} bytes`)
  }
  const document: unknown = JSON.parse(text)
  if (!isObject(document)) throw new Error(`${url} is no JSON object`)
  return document
}

/** The key a token with this header was signed with, ready to verify. Throws InvalidIdentityToken when none will do. */
export async function keyFor(
  keys: UncheckedJwk[],
  alg: Algorithm,
  kid: string | undefined,
): Promise<CryptoKey | Uint8Array> {
  const key = chooseKey(keys, kid)
  const problem = keyProblem(key, keys)
  if (problem) throw invalidToken(problem)
  try {
    // Only the public members, and the token's algorithm: the JWK's own `alg` has no say.
    const { kty, n, e, crv, x, y } = key as JWK
    return await importJWK({ kty, n, e, crv, x, y } as JWK, alg)
  } catch {
    throw invalidToken(`The issuer's key cannot be used with ${alg}`)
  }
}

function chooseKey(keys: UncheckedJwk[], kid: string | undefined): UncheckedJwk {
  if (!keys.every((key) => typeof key['kid'] === 'string' && key['kid'] !== '')) {
    throw invalidToken('Every key of the issuer needs a kid')
  }
  if (kid === undefined) {
    const [only, ...more] = keys
    if (only && more.length === 0) return only
    throw invalidToken('The token has no kid, and the issuer does not have exactly one key')
  }
  // Of keys with the same kid the last one wins.
  const found = keys.findLast((key) => key['kid'] === kid)
  if (!found) throw invalidToken("The issuer has no key with the token's kid")
  return found
}

const MAX_RSA_KEYS = 100

/** Why AWS would not use `key`, one of `keys`; undefined when it would. */
export function keyProblem(key: UncheckedJwk, keys: UncheckedJwk[]): string | undefined {
  // Node's WebCrypto writes key_ops when it exports a JWK. AWS refuses even ["verify"].
  if (key['key_ops'] !== undefined) return "The issuer's key has key_ops"
  if (key['use'] !== undefined && key['use'] !== 'sig') return "The issuer's key is not for signatures (use)"
  if (key['kty'] !== 'RSA' && key['kty'] !== 'EC') return "The issuer's key must be RSA or EC"
  if (key['kty'] === 'RSA' && keys.filter(({ kty }) => kty === 'RSA').length > MAX_RSA_KEYS) {
    return `The issuer has more than ${MAX_RSA_KEYS} RSA keys`
  }
  const members = key['kty'] === 'RSA' ? ['n', 'e'] : ['crv', 'x', 'y']
  if (!members.every((name) => typeof key[name] === 'string'))
    return "The issuer's key lacks its public members"
  return key['x5c'] === undefined || certifies(key['x5c'], key, members)
    ? undefined
    : "The issuer's key and its x5c differ"
}

function certifies(x5c: unknown, key: UncheckedJwk, members: string[]): boolean {
  const leaf: unknown = Array.isArray(x5c) ? x5c[0] : undefined
  if (typeof leaf !== 'string') return false
  try {
    const certified = new X509Certificate(Buffer.from(leaf, 'base64')).publicKey.export({
      format: 'jwk',
    }) as UncheckedJwk
    return certified['kty'] === key['kty'] && members.every((name) => certified[name] === key[name])
  } catch {
    return false
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
