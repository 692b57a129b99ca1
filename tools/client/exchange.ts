// One HTTP request and its whole reply, within one deadline and one size. node:http, since fetch costs a command line
// tool 27 ms to load.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

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
  headers: IncomingHttpHeaders
  text: string
}

const MAX_REPLY_BYTES = 1024 * 1024

/**
 * Rejects with ClientError: `unreachable` when the connection failed before a reply began (`sent` in the cause says
 * whether the request may have arrived), `timeout` when the whole reply was not there in time, `malformed_reply` when
 * it is larger than 1 MiB. Redirects are not followed: a bearer goes to the host that was named and to no other.
 */
export async function exchange(request: HttpRequest, timeoutMs: number): Promise<HttpReply> {
  const { method, url, bearer, idempotencyKey } = request
  // TLS is a third of what a command line tool would load, and a broker on this machine needs none.
  const { request: open } = await (url.protocol === 'https:' ? import('node:https') : import('node:http'))
  const body = request.body === undefined ? undefined : JSON.stringify(request.body)
  const headers = {
    accept: 'application/json',
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(method === 'GET' ? {} : { 'content-length': Buffer.byteLength(body ?? '') }),
  }
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

async function collect(response: IncomingMessage): Promise<string> {
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
