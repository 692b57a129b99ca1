// Requests that never become one: Node's parser or Fastify's router gives up on them. They get our error body too.

import type { Socket } from 'node:net'

import type { FastifyReply } from 'fastify'

interface ConnectionError extends Error {
  code?: string
}

interface Refusal {
  status: string
  detail: string
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    detail: 'the headers must be at most 16 KiB',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: '408 Request Timeout', detail: 'the request came too slowly' },
}

const MALFORMED: Refusal = { status: '400 Bad Request', detail: 'the request is malformed' }

/** Node's 'clientError': there is no reply object, only the socket. What was sent (a bearer, say) is not repeated. */
export function refuseConnection({ code = '' }: ConnectionError, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, detail } = REFUSALS[code] ?? MALFORMED
  const body = JSON.stringify({ error: 'bad_request', message: `bad request: ${detail}` })
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** A path that cannot be decoded is a path nobody knows. */
export function refuseUrl(_error: Error, _request: unknown, reply: FastifyReply): void {
  reply.outcome = 'not_found'
  void reply.status(404).send()
}
