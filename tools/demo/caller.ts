// What an agent does: asks the broker, holding a session bearer and no AWS key.

import type { BrokerProcess } from '../broker-process.js'

/** Where the mint stands in the ledger. */
export interface LedgerReference {
  origin: string
  index: number
  leaf_hash: string
  /** A C2SP tlog-proof, where the broker gives one. */
  receipt?: string
}

export interface JwtReply {
  jwt: string
  wallet: string
  expiration: number
  jti: string
  ledger: LedgerReference
}

export interface CredsReply {
  access_key_id: string
  secret_access_key: string
  session_token: string
  expiration: number
  wallet: string
  mint_id: string
  role_arn: string
  region: string
  ledger: LedgerReference
}

export interface Refused {
  error: string
  message: string
}

const ANSWER_WITHIN_MS = 15_000

export async function post(
  broker: BrokerProcess,
  path: string,
  bearer: string,
  body?: object,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(broker.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  })
  return { status: response.status, body: await response.json() }
}

/** The reply to a mint that must succeed. */
export async function mint<Reply>(broker: BrokerProcess, path: string, bearer: string): Promise<Reply> {
  const { status, body } = await post(broker, path, bearer)
  if (status !== 200) {
    const { error, message } = body as Refused
    throw new Error(`${path} answered ${status} ${error}: ${message}`)
  }
  return body as Reply
}

/** Throws unless `so`: every step says what it found instead. */
export function expectThat(so: boolean, otherwise: string): asserts so {
  if (!so) throw new Error(otherwise)
}
