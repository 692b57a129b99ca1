// The checks of `agentkeys doctor` that mint nothing. Each gives one finding for each thing it looked at.

import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { ClientError } from '../../client/errors.js'
import { exchange, type HttpReply } from '../../client/exchange.js'

import { Backend } from '../backend.js'
import { scrubbed } from '../child-environment.js'
import type { Context } from '../context.js'
import { shownVkey } from '../description.js'
import { checkPin, readPin } from '../pin.js'
import { socketPath } from '../runtime-dir.js'
import { ownWallet } from '../stored-credentials.js'
import { type Finding, failure, ok, warning } from './finding.js'

const TIMEOUT_MS = 10_000
const SKEW_WARNING_SECONDS = 30
/** AWS takes a token that is five minutes off, no more. */
const SKEW_FAILURE_SECONDS = 300

/** Is it there, and do its clock and ours agree? */
export async function checkBroker({ home }: Context): Promise<Finding[]> {
  try {
    const reply = await get(home.url, 'healthz')
    if (reply.status !== 200)
      return [
        failure(`${home.url.href} answers HTTP ${reply.status}`, 'check that it is the URL of a broker'),
      ]
    return [ok(`the broker answers at ${home.url.href}`), ...skew(reply, Date.now())]
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return [failure(error.message, error.remedy)]
  }
}

function skew({ headers }: HttpReply, now: number): Finding[] {
  const theirs = Date.parse(headers.date ?? '')
  if (Number.isNaN(theirs)) return []
  const seconds = Math.round(Math.abs(theirs - now) / 1000)
  if (seconds > SKEW_FAILURE_SECONDS)
    return [
      failure(
        `this clock and the broker's are ${seconds} s apart`,
        'set the clock (NTP): AWS refuses such tokens',
      ),
    ]
  if (seconds > SKEW_WARNING_SECONDS)
    return [warning(`this clock and the broker's are ${seconds} s apart`, 'set the clock (NTP)')]
  return [ok("this clock and the broker's agree")]
}

/** AWS compares the issuer byte for byte, and takes the keys from the document it names. */
export async function checkIssuer({ home }: Context): Promise<Finding[]> {
  const document = objectOf((await get(home.url, '.well-known/openid-configuration')).text)
  const issuer = document['issuer']
  const expected = home.url.href.replace(/\/$/, '')
  const same =
    issuer === expected
      ? ok(`the issuer is ${expected}`)
      : warning(
          `the issuer is ${JSON.stringify(issuer)}, and you use ${expected}`,
          'use the URL of the issuer, or tell the operator that BROKER_OIDC_ISSUER is another',
        )
  const keys = objectOf((await get(home.url, '.well-known/jwks.json')).text)['keys']
  return [same, jwksFinding(Array.isArray(keys) ? (keys as Record<string, unknown>[]) : [])]
}

function jwksFinding(keys: readonly Record<string, unknown>[]): Finding {
  const kids = new Set(keys.map(({ kid }) => kid))
  const odd = keys.find(
    ({ kty, crv, alg, d }) => kty !== 'EC' || crv !== 'P-256' || alg !== 'ES256' || d !== undefined,
  )
  if (keys.length === 0) return failure('the broker publishes no signing key', 'tell the operator')
  if (odd || kids.size !== keys.length)
    return failure(
      'the published keys are not ES256 public keys with a kid each',
      'tell the operator at once',
    )
  return ok(`${keys.length} signing key${keys.length === 1 ? '' : 's'} published`)
}

export async function checkLedgerKey({ home }: Context): Promise<Finding[]> {
  const pin = readPin(home)
  if (!pin) return [warning('no ledger key is pinned, so receipts are not verified', 'agentkeys init')]
  try {
    checkPin(pin, await shownVkey(home.url))
    return [ok(`the ledger key is the one pinned on ${pin.pinnedAt.slice(0, 10)}`)]
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return [failure(error.message, error.remedy)]
  }
}

/** Asks the session backend, as the broker will. */
export async function checkSession(context: Context): Promise<Finding[]> {
  const found = await context.session()
  if (!found) return [failure('there is no session for this broker', 'agentkeys init')]
  const kept = ok(`session ${context.sessionId} is kept in: ${found.place}`)
  const daemon = existsSync(socketPath()) ? [ok(`the daemon's socket is ${socketPath()}`)] : []
  try {
    const backend = await Backend.of(context)
    const wallet = await ownWallet(backend, found.token)
    return [kept, ok(`the session is valid, for wallet ${wallet}`), ...daemon]
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    const hosted = 'a broker with a session backend that you cannot reach still mints: try --mint'
    const finding =
      error.code === 'unauthorized'
        ? failure(`the session is not valid: ${error.message}`, 'agentkeys init')
        : warning(`the session backend could not be asked: ${error.message}`, hosted)
    return [kept, finding, ...daemon]
  }
}

/** In every AWS SDK these outrank a container endpoint. `exec` takes them away; other ways do not. */
export function checkAwsSettings(env: NodeJS.ProcessEnv = process.env): Finding[] {
  const left = scrubbed(env)
  const outranking = Object.keys(env).filter((name) => name.startsWith('AWS_') && left[name] === undefined)
  const variables = outranking.map((name) =>
    warning(`${name} is set, and outranks our credentials`, `unset ${name}, or use agentkeys exec`),
  )
  const path = env['AWS_SHARED_CREDENTIALS_FILE'] ?? join(homedir(), '.aws', 'credentials')
  const profile = hasDefaultKeys(path)
    ? [
        warning(
          `${path} has keys in [default], which outrank our credentials`,
          'remove them, or use agentkeys exec',
        ),
      ]
    : []
  const found = [...variables, ...profile]
  return found.length === 0 ? [ok('no AWS setting outranks our credentials')] : found
}

function hasDefaultKeys(path: string): boolean {
  if (!existsSync(path)) return false
  const section = /^\[default\][^[]*/m.exec(readFileSync(path, 'utf8'))?.[0] ?? ''
  return section.includes('aws_access_key_id')
}

function get(broker: URL, path: string): Promise<HttpReply> {
  return exchange({ method: 'GET', url: new URL(path, broker) }, TIMEOUT_MS)
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
