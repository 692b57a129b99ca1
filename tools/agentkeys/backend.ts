// The session backend as the CLI asks it: its own error body, `{error, code, message}`.

import { ClientError, type ClientErrorCode } from '../client/errors.js'
import { exchange, type HttpRequest, parseBrokerUrl } from '../client/exchange.js'

import type { Context } from './context.js'

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
    const described = await describedBackend(context.home.url)
    if (described !== undefined) return new Backend(parseBrokerUrl(described))
    return new Backend(new URL('http://127.0.0.1:8090/'))
  }

  /** The reply's JSON object. Rejects with ClientError. */
  async ask(request: Omit<HttpRequest, 'url'> & { path: string }): Promise<Record<string, unknown>> {
    const { path, ...rest } = request
    const { status, text } = await exchange({ ...rest, url: new URL(path, this.url) }, TIMEOUT_MS)
    const reply = objectOf(text)
    if (status === 200 && reply) return reply
    const { code, message } = reply ?? {}
    if (typeof code !== 'string' || typeof message !== 'string')
      throw new ClientError('malformed_reply', `HTTP ${status} of ${this.url.origin} without an error body`, {
        status,
      })
    throw new ClientError(CODES[code] ?? 'internal', message, { status, reason: code })
  }
}

/** What GET /.well-known/agentkeys says; a broker that has no such route says nothing. */
async function describedBackend(broker: URL): Promise<string | undefined> {
  const { status, text } = await exchange(
    { method: 'GET', url: new URL('.well-known/agentkeys', broker) },
    TIMEOUT_MS,
  )
  const named = status === 200 ? objectOf(text)?.['session_backend'] : undefined
  return typeof named === 'string' ? named : undefined
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
