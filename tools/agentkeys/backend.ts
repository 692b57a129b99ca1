// The session backend as the CLI asks it: its own error body, `{error, code, message}`.

import { ClientError, type ClientErrorCode } from '../client/errors.js'
import { isLoopbackName, parseBrokerUrl } from '../client/broker-url.js'
import { exchange, type HttpRequest } from '../client/exchange.js'

import type { Context } from './context.js'
import { describeBroker } from './description.js'
import { CliError } from './report-error.js'

const TIMEOUT_MS = 15_000

/** Its codes, as errors of a client. What is not listed is `internal`. */
const CODES: Readonly<Record<string, ClientErrorCode>> = {
  UNAUTHORIZED: 'unauthorized',
  DENIED: 'forbidden',
  NOT_FOUND: 'forbidden',
  EXPIRED: 'unauthorized',
  BAD_REQUEST: 'bad_request',
  UNSUPPORTED_MEDIA_TYPE: 'bad_request',
  rate_limit_exceeded: 'too_many_requests',
}

export class Backend {
  constructor(readonly url: URL) {}

  /** --backend, else $AGENTKEYS_BACKEND_URL, else what the broker names, else the embedded one beside a local broker. */
  static async of(context: Context): Promise<Backend> {
    const named = context.text('backend', 'AGENTKEYS_BACKEND_URL')
    if (named !== undefined) return new Backend(parseBrokerUrl(named))
    const described = await describeBroker(context.home.url)
    if (described?.sessionBackend !== undefined) return new Backend(parseBrokerUrl(described.sessionBackend))
    if (isLoopbackName(context.home.url.hostname)) return new Backend(new URL('http://127.0.0.1:8090/'))
    throw new CliError(
      `${context.home.url.href} names no session backend`,
      'ask the operator for its URL, and give it with --backend or AGENTKEYS_BACKEND_URL',
      1,
    )
  }

  /** The reply's JSON object. Rejects with ClientError. */
  async ask(request: BackendRequest): Promise<Record<string, unknown>> {
    const reply = await this.reply(request)
    if (isObject(reply)) return reply
    throw this.unexpected('another reply than a JSON object')
  }

  /** For the routes that reply with a bare array. */
  async askList(request: BackendRequest): Promise<unknown[]> {
    const reply = await this.reply(request)
    if (Array.isArray(reply)) return reply as unknown[]
    throw this.unexpected('another reply than a JSON array')
  }

  private async reply({ path, ...request }: BackendRequest): Promise<unknown> {
    const { status, text } = await exchange({ ...request, url: new URL(path, this.url) }, TIMEOUT_MS)
    const reply = parsed(text)
    if (status >= 200 && status < 300 && reply !== undefined) return reply
    const { code, message } = isObject(reply) ? reply : {}
    if (typeof code !== 'string' || typeof message !== 'string')
      throw this.unexpected(`HTTP ${status} without an error body`)
    throw new ClientError(CODES[code] ?? 'internal', message, { status, reason: code })
  }

  private unexpected(what: string): ClientError {
    return new ClientError('malformed_reply', `the session backend at ${this.url.origin} gave ${what}`)
  }
}

type BackendRequest = Omit<HttpRequest, 'url'> & { path: string }

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
