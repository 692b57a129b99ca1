// Requests that never become one: Node's parser or Fastify's router gives up on them. They get the error body too.

import type { Socket } from 'node:net'

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

import { commonHeaders, JSON_TYPE, newRequestId } from './error-body.js'

/** What Node's parser refuses; both listeners have a body for each. */
export type ConnectionRefusal = 'malformed-request' | 'headers-too-large' | 'request-too-slow'

const REFUSAL_OF_CODE: Readonly<Record<string, ConnectionRefusal>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-too-slow',
}

const STATUS_LINE = {
  'malformed-request': '400 Bad Request',
  'headers-too-large': '431 Request Header Fields Too Large',
  'request-too-slow': '408 Request Timeout',
} satisfies Record<ConnectionRefusal, string>

const DETAIL = {
  'malformed-request': 'the request is malformed',
  'headers-too-large': 'the headers must be at most 16 KiB',
  'request-too-slow': 'the request came too slowly',
} satisfies Record<ConnectionRefusal, string>

type ErrorBody = (reason: ConnectionRefusal, detail: string) => string

/**
 * For Node's 'clientError': there is no reply object, only the socket. What was sent (a bearer, say) is neither repeated
 * nor logged.
 */
export function connectionRefuser(log: Logger, bodyOf: ErrorBody): (error: Error, socket: Socket) => void {
  return (error, socket) => {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const reason = REFUSAL_OF_CODE[code] ?? 'malformed-request'
    const requestId = newRequestId()
    socket.end(rawReply(STATUS_LINE[reason], requestId, bodyOf(reason, DETAIL[reason])))
    const status = Number.parseInt(STATUS_LINE[reason])
    log.info({ requestId, route: 'unknown', status, outcome: 'bad_request' }, 'request')
  }
}

function rawReply(statusLine: string, requestId: string, body: string): string {
  const headers = {
    ...commonHeaders(requestId),
    'Content-Type': JSON_TYPE,
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    Connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${statusLine}`, ...lines, '', body].join('\r\n')
}

type SendNotFound = (reply: FastifyReply) => void

/** For what Fastify's router cannot decode: a path that is unknown. Its reply is made before any hook runs. */
export function urlRefuser(log: Logger, sendNotFound: SendNotFound) {
  return (_error: Error, request: FastifyRequest, reply: FastifyReply): void => {
    void reply.headers(commonHeaders(request.id))
    sendNotFound(reply)
    log.info({ requestId: request.id, method: request.method, route: 'unknown', status: 404 }, 'request')
  }
}
