// The broker's replies, parsed strictly in what is used. Further members are allowed: a newer broker may add some.

import { ClientError } from './errors.js'
import type { LedgerReference } from './receipts.js'

export interface MintedJwt {
  jwt: string
  jti: string
  wallet: string
  expiresAt: Date
  ledger: LedgerReference
}

export interface MintedCredentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  expiresAt: Date
  wallet: string
  mintId: string
  roleArn: string
  region: string
  ledger: LedgerReference
}

/** Throws ClientError `malformed_reply` that names the member. */
export function readJwt(reply: unknown): MintedJwt {
  const members = objectOf(reply, 'the reply')
  return {
    jwt: text(members, 'jwt'),
    jti: text(members, 'jti'),
    wallet: text(members, 'wallet'),
    expiresAt: unixTime(members, 'expiration'),
    ledger: readReference(members['ledger']),
  }
}

/** Throws ClientError `malformed_reply` that names the member. */
export function readCredentials(reply: unknown): MintedCredentials {
  const members = objectOf(reply, 'the reply')
  return {
    accessKeyId: text(members, 'access_key_id'),
    secretAccessKey: text(members, 'secret_access_key'),
    sessionToken: text(members, 'session_token'),
    expiresAt: unixTime(members, 'expiration'),
    wallet: text(members, 'wallet'),
    mintId: text(members, 'mint_id'),
    roleArn: text(members, 'role_arn'),
    region: text(members, 'region'),
    ledger: readReference(members['ledger']),
  }
}

function readReference(value: unknown): LedgerReference {
  const members = objectOf(value, 'ledger')
  return {
    origin: text(members, 'origin'),
    index: wholeNumber(members, 'index'),
    leafHash: text(members, 'leaf_hash'),
    receipt: text(members, 'receipt'),
  }
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw malformed(`${what} is not a JSON object`)
}

function text(members: Record<string, unknown>, name: string): string {
  const value = members[name]
  if (typeof value === 'string' && value !== '') return value
  throw malformed(`${name} is missing, or not a string`)
}

function wholeNumber(members: Record<string, unknown>, name: string): number {
  const value = members[name]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw malformed(`${name} is missing, or not a whole number`)
}

function unixTime(members: Record<string, unknown>, name: string): Date {
  return new Date(wholeNumber(members, name) * 1000)
}

function malformed(problem: string): ClientError {
  return new ClientError('malformed_reply', `unexpected reply of the broker: ${problem}`)
}
