// What a broker says of itself: GET /.well-known/agentkeys. Explicit flags and variables beat it.

import { parseVkey } from '../../src/domain/ledger/note.js'
import { ClientError } from '../client/errors.js'
import { exchange } from '../client/exchange.js'

export interface Description {
  sessionBackend: string | undefined
  region: string | undefined
  /** The first is the one that a caller gets without asking. */
  roles: readonly string[]
  bucket: string | undefined
  mailDomain: string | undefined
  vkey: string | undefined
}

const TIMEOUT_MS = 10_000

/** Undefined for a broker that has no such route. Rejects with ClientError. */
export async function describeBroker(broker: URL): Promise<Description | undefined> {
  const url = new URL('.well-known/agentkeys', broker)
  const { status, text } = await exchange({ method: 'GET', url }, TIMEOUT_MS)
  if (status === 404) return undefined
  const members = status === 200 ? objectOf(text) : undefined
  if (!members) throw new ClientError('malformed_reply', `${url.href} gave no description (HTTP ${status})`)
  const { roles, ledger } = members
  return {
    sessionBackend: textOf(members['session_backend']),
    region: textOf(members['region']),
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [],
    bucket: textOf(members['bucket']),
    mailDomain: textOf(members['mail_domain']),
    vkey: textOf((ledger as Record<string, unknown> | undefined)?.['vkey']),
  }
}

/** The ledger's key, as the broker shows it. Rejects with ClientError. */
export async function shownVkey(broker: URL): Promise<string> {
  const described = await describeBroker(broker)
  const vkey = described?.vkey ?? (await vkeyRoute(broker))
  try {
    return (parseVkey(vkey), vkey)
  } catch (error) {
    throw new ClientError('malformed_reply', `${broker.href} shows no ledger key`, { cause: error })
  }
}

/** Of brokers from before the description. */
async function vkeyRoute(broker: URL): Promise<string> {
  const { text } = await exchange({ method: 'GET', url: new URL('ledger/vkey', broker) }, TIMEOUT_MS)
  return text.trim()
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
