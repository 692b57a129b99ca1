// One HTTP request and its whole reply, within one deadline and one size. node:http, since fetch costs a command line
// tool 27 ms to load.

import http from 'node:http'
import https from 'node:https'

import { ClientError } from './errors.js'

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  url: URL
  bearer?: string | undefined
  /** By which the broker knows the same mint again. */
  idempotencyKey?: string
  /** Sent as JSON. */
  body?: unknown
}

export interface HttpReply {
  status: number
  headers: http.IncomingHttpHeaders
  text: string
}

const MAX_REPLY_BYTES = 1024 * 1024

/**
 * Rejects with ClientError: `unreachable` when the connection failed before a reply began (`sent` in the cause says
 * whether the request may have arrived), `timeout` when the whole reply was not there in time, `malformed_reply` when
 * it is larger than 1 MiB. Redirects are not followed: a bearer goes to the host that was named and to no other.
 */
export function exchange(request: HttpRequest, timeoutMs: number): Promise<HttpReply> {
  const { method, url, bearer, idempotencyKey } = request
  const body = request.body === undefined ? undefined : JSON.stringify(request.body)
  const headers = {
    accept: 'application/json',
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(method === 'GET' ? {} : { 'content-length': Buffer.byteLength(body ?? '') }),
  }
  const { request: open } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    const call = open(url, { method, headers, agent: false })
    const fail = (error: ClientError) => {
      clearTimeout(timer)
      reject(error)
      call.destroy()
    }
    const timer = setTimeout(
      () => fail(new ClientError('timeout', `${url.origin} did not answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    )
    call.on('error', (error: NodeJS.ErrnoException) =>
      fail(
        new ClientError('unreachable', `${url.origin} cannot be reached (${error.code ?? error.message})`, {
          cause: error,
        }),
      ),
    )
    call.on('response', (response) => {
      void collect(response).then((text) => {
        clearTimeout(timer)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
      }, fail)
    })
    call.end(body)
  })
}

async function collect(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_REPLY_BYTES) throw new ClientError('malformed_reply', 'the reply is larger than 1 MiB')
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new ClientError('unreachable', 'the connection ended in the middle of the reply', { cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}

const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ECONNABORTED',
])

/** Whether the request certainly never reached the other side, so that repeating it does nothing twice. */
export function neverSent(error: ClientError): boolean {
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code
  return error.code === 'unreachable' && code !== undefined && NOT_SENT.has(code)
}

/** The URL of a broker, or throws ClientError: https, or http to a loopback address; a path prefix is allowed. */
export function parseBrokerUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new ClientError('invalid_url', 'the broker URL is not a URL')
  }
  if (url.username || url.password)
    throw new ClientError('invalid_url', 'the broker URL must hold no password')
  if (url.search || url.hash)
    throw new ClientError('invalid_url', 'the broker URL must have no query and no fragment')
  const plain = url.protocol === 'http:' && isLoopbackName(url.hostname)
  if (url.protocol !== 'https:' && !plain)
    throw new ClientError('invalid_url', 'a bearer may only be sent over https, or to a loopback address')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
