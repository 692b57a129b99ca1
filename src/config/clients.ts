// What clients learn from GET /.well-known/agentkeys, so that the broker's URL is all they have to be given.

import { type Address, formatAddress, isHostName, isLoopback } from './address.js'
import { type Environment, matching, InvalidSettingError, path } from './environment.js'
import type { SessionBackendConfig } from './session.js'
import { crossesInClear, parseServiceUrl } from './urls.js'

export interface ClientsConfig {
  /** Where clients reach the session backend; undefined: as it is bound, or as the broker reaches it. */
  readonly sessionUrl: string | undefined
  /** Holds each wallet's data under a prefix. */
  readonly bucket: string | undefined
  /** Of the addresses that wallets are given. */
  readonly mailDomain: string
  /** With the token in it, the mail router asks whose inbox an address is; undefined: there is no mail router. */
  readonly mailRouterTokenFile: string | undefined
}

const DEFAULT_MAIL_DOMAIN = 'agentkeys-email.io'
export const BUCKET = matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of an S3 bucket')

export function readClients(env: Environment): ClientsConfig {
  return {
    sessionUrl: env.read('BROKER_SESSION_URL', parseSessionUrl, undefined),
    bucket: env.read('BROKER_DATA_BUCKET', BUCKET, undefined),
    mailDomain: env.read('BROKER_MAIL_DOMAIN', parseMailDomain, DEFAULT_MAIL_DOMAIN),
    mailRouterTokenFile: env.read('BROKER_MAIL_ROUTER_TOKEN_FILE', path, undefined),
  }
}

/** Whether others than the callers of this machine can reach a backend that is bound there: directly, or by a proxy. */
export function isExposed(bind: Address, { sessionUrl }: ClientsConfig): boolean {
  return !isLoopback(bind.host) || (sessionUrl !== undefined && !isLocal(sessionUrl))
}

interface Named {
  readonly issuer: string
  readonly backend: SessionBackendConfig
  readonly clients: ClientsConfig
}

/**
 * Where clients find the session backend; undefined: nowhere. An address on loopback is of use to the clients of a broker
 * that is used on loopback itself, and to no other.
 */
export function sessionUrlOf({ issuer, backend, clients }: Named): string | undefined {
  if (clients.sessionUrl !== undefined) return clients.sessionUrl
  const url = backend.kind === 'http' ? backend.url : boundUrl(backend.bind)
  // A backend that the broker reaches in clear is one of its own network.
  if (url === undefined || crossesInClear(url) || (isLocal(url) && !isLocal(issuer))) return undefined
  return url
}

/** With port 0 it is not known before the listener is there. */
function boundUrl(bind: Address): string | undefined {
  return bind.port === 0 ? undefined : `http://${formatAddress(bind)}`
}

function isLocal(url: string): boolean {
  return isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''))
}

/** Wallets sign its host (EIP-4361), and bearers are sent there. */
function parseSessionUrl(text: string): string {
  const url = parseServiceUrl(text)
  if (crossesInClear(url))
    throw new InvalidSettingError('an https URL (http only for a loopback host)', 'let a proxy end TLS')
  if (url !== new URL(url).origin)
    throw new InvalidSettingError('an origin: scheme, host and port, without a path', 'correct it')
  return url
}

function parseMailDomain(text: string): string {
  if (isHostName(text) && text.includes('.')) return text.toLowerCase()
  throw new InvalidSettingError('a mail domain, such as mail.example.com')
}
