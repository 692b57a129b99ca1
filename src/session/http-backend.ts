import { Agent, type Dispatcher } from 'undici'

import { deadline } from '../deadline.js'
import { parseWallet } from '../domain/wallet.js'
import { boundedBody, MAX_REPLY_BYTES } from '../remote/bounded-reply.js'
import { ConnectionLimit } from '../remote/connection-limit.js'
import { childOf } from './child-answer.js'
import { assertWellFormed, NOT_VALID, type Session, SessionBackend, SessionError } from './session-backend.js'

const CONNECT_TIMEOUT_MS = 5000
const MAX_CONNECTIONS = 256
const MAX_MESSAGE = 200
const AGENT = /^[A-Za-z0-9._:@-]{1,128}$/

/** The connection went away. Before an answer began, that is what a kept-alive socket does whose other end had given up on it. */
const CONNECTION_LOST = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

export interface HttpSessionBackendOptions {
  /** Where the backend is: `/session/validate` and `/healthz` are appended. User and password in it are not used. */
  url: string
  /** For one validation, from the connect to the last byte. */
  timeoutMs: number
}

interface Get {
  path: string
  headers?: Record<string, string>
}

interface Reply {
  status: number
  text: string
}

/** Any server that speaks `GET /session/validate`. Redirects are not followed: they would carry the bearer elsewhere. */
export class HttpSessionBackend extends SessionBackend {
  private readonly origin: string
  private readonly prefix: string
  private readonly connections = new ConnectionLimit(MAX_CONNECTIONS)
  private readonly agent: Agent
  /** Keeps nothing alive: a second try must not meet a second stale connection. */
  private readonly fresh: Agent

  constructor(private readonly options: HttpSessionBackendOptions) {
    super()
    const url = new URL(options.url)
    if (!['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '')
      throw new TypeError('the session backend URL must be http or https, without query or fragment')
    this.origin = url.origin
    this.prefix = url.pathname.replace(/\/+$/, '')
    const limits = {
      connect: { timeout: CONNECT_TIMEOUT_MS },
      connections: MAX_CONNECTIONS,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
    }
    this.agent = new Agent(limits)
    this.fresh = new Agent({ ...limits, pipelining: 0 })
  }

  async validate(bearer: string): Promise<Session> {
    assertWellFormed(bearer)
    const get = { path: '/session/validate', headers: { authorization: `Bearer ${bearer}` } }
    const { status, text } = await this.connections.request(
      this.options.timeoutMs,
      (signal) => this.exchange(this.agent, get, signal),
      { late: this.late, busy },
    )
    if (status >= 200 && status <= 299) return this.session(text)
    if (status === 401) throw new SessionError('unauthorized', refusalText(text, bearer))
    throw new SessionError('backend-unreachable', `backend returned ${status}`)
  }

  async healthy(): Promise<boolean> {
    try {
      // Over a connection of its own: the question is how the backend does, not how long our queue is.
      const { status } = await deadline(
        this.options.timeoutMs,
        (signal) => this.exchange(this.fresh, { path: '/healthz' }, signal),
        this.late,
      )
      return status >= 200 && status <= 299
    } catch (error) {
      if (error instanceof SessionError) return false
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.agent.destroy(), this.fresh.destroy()])
  }

  private session(text: string): Session {
    const answer = parseObject(text)
    if (!answer) throw new SessionError('backend-unreachable', 'backend answered without a JSON object')
    if (typeof answer.wallet !== 'string')
      throw new SessionError('backend-unreachable', 'backend answered without a wallet')
    const wallet = parseWallet(answer.wallet)
    if (!wallet)
      throw new SessionError(
        'backend-unreachable',
        'backend answered with a wallet that is not 0x and 40 hex digits',
      )
    const { agent } = answer
    const named = typeof agent === 'string' && AGENT.test(agent)
    const child = childOf(answer)
    return { wallet, ...(named ? { agent } : {}), ...(child ? { child } : {}), backend: this.origin }
  }

  private async exchange(agent: Agent, { path, headers = {} }: Get, signal: AbortSignal): Promise<Reply> {
    const request = { origin: this.origin, path: this.prefix + path, method: 'GET', headers, signal } as const
    try {
      const response = await this.send(agent, request)
      return { status: response.statusCode, text: await bodyOf(response) }
    } catch (cause) {
      throw new SessionError('backend-unreachable', describe(cause))
    }
  }

  /** Tried twice at most, and only while nothing was answered: GET has no effect (RFC 9110, 9.2.2). */
  private async send(agent: Agent, request: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
    try {
      return await agent.request(request)
    } catch (error) {
      if (!CONNECTION_LOST.has(codeOf(error))) throw error
      return await this.fresh.request(request)
    }
  }

  private readonly late = () =>
    new SessionError('backend-unreachable', `no answer within ${this.options.timeoutMs} ms`)
}

function busy(): SessionError {
  const message =
    'as many sessions are being validated as this broker asks for at once; come back in a moment'
  return new SessionError('overloaded', message)
}

/** Statuses that say it all need no body: what cannot be read of theirs is not missed. */
async function bodyOf({ statusCode, body }: Dispatcher.ResponseData): Promise<string> {
  if (statusCode <= 299 || statusCode === 401) return Buffer.from(await boundedBody(body)).toString()
  await body.dump({ limit: MAX_REPLY_BYTES }).catch(() => undefined)
  return ''
}

/** The backend's own words, fit for a log line and for a caller; never if the bearer is among them. */
function refusalText(text: string, bearer: string): string {
  const message = parseObject(text)?.message
  if (typeof message !== 'string') return NOT_VALID
  const clean = message.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim()
  if (clean === '' || clean.toLowerCase().includes(bearer.toLowerCase())) return NOT_VALID
  return [...clean].slice(0, MAX_MESSAGE).join('')
}

/** Own members only, on an object without a prototype: an answer cannot inherit a wallet. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return Object.assign(Object.create(null) as Record<string, unknown>, value)
  } catch {
    return undefined
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : ''
}

/** An error's code is a constant; its message may hold an address, or bytes the other side sent. */
function describe(cause: unknown): string {
  const code = codeOf(cause)
  return /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? `request failed (${code})` : 'request failed'
}
