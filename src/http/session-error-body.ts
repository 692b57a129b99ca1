// An error of the embedded session backend as it is sent: its codes are those its callers have always known.

import type { IncomingMessage, ServerResponse } from 'node:http'

import type { FastifyReply } from 'fastify'

import { commonHeaders, JSON_TYPE, newRequestId } from './error-body.js'
import { NO_ROOM } from './overload.js'

export const SESSION_CODES = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INTERNAL_ERROR: 500,
  OVERLOADED: 503,
} as const

export type SessionCode = keyof typeof SESSION_CODES

/** The closed set of reasons of this API. Those that KIND_OF_REASON has too mean the same there. */
export const SESSION_CODE_OF_REASON = {
  'malformed-request': 'BAD_REQUEST',
  'ambiguous-request': 'BAD_REQUEST',
  'query-not-allowed': 'BAD_REQUEST',
  'headers-too-large': 'BAD_REQUEST',
  'request-too-slow': 'BAD_REQUEST',
  'body-malformed': 'BAD_REQUEST',
  'body-too-deep': 'BAD_REQUEST',
  'duplicate-member': 'BAD_REQUEST',
  'unknown-field': 'BAD_REQUEST',
  'invalid-field': 'BAD_REQUEST',
  'body-too-large': 'PAYLOAD_TOO_LARGE',
  'body-unsupported': 'UNSUPPORTED_MEDIA_TYPE',
  'missing-authorization': 'UNAUTHORIZED',
  'malformed-authorization': 'UNAUTHORIZED',
  'session-not-valid': 'UNAUTHORIZED',
  'host-not-loopback': 'DENIED',
  'from-a-web-page': 'DENIED',
  'not-permitted': 'DENIED',
  'no-such-path': 'NOT_FOUND',
  'no-such-thing': 'NOT_FOUND',
  'method-not-allowed': 'METHOD_NOT_ALLOWED',
  'too-many-under-way': 'OVERLOADED',
  'backend-failed': 'INTERNAL_ERROR',
} as const satisfies Record<string, SessionCode>

export type SessionReason = keyof typeof SESSION_CODE_OF_REASON

/** A request that this API does not serve, in words for its caller. */
export class SessionApiError extends Error {
  constructor(
    readonly reason: SessionReason,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message)
    this.name = 'SessionApiError'
  }
}

export function sessionErrorBody(reason: SessionReason, message: string): string {
  const code = SESSION_CODE_OF_REASON[reason]
  return `${JSON.stringify({ error: code, code, message, reason })}\n`
}

export function sendSessionError(
  reply: FastifyReply,
  { reason, message, headers }: SessionApiError,
): FastifyReply {
  const code = SESSION_CODE_OF_REASON[reason]
  reply.outcome = code.toLowerCase()
  if (code === 'UNAUTHORIZED') void reply.header('WWW-Authenticate', 'Bearer realm="agentkeys-sessions"')
  return reply
    .status(SESSION_CODES[code])
    .headers({ ...headers, 'Cache-Control': 'no-store' })
    .type(JSON_TYPE)
    .send(sessionErrorBody(reason, message))
}

/** As overload.ts, in the words of this API. Returns the id under which it was answered. */
export function refuseSessionOverload(_request: IncomingMessage, response: ServerResponse): string {
  const requestId = newRequestId()
  const headers = {
    ...commonHeaders(requestId),
    'Content-Type': JSON_TYPE,
    'Retry-After': '1',
    Connection: 'close',
  }
  response.writeHead(SESSION_CODES.OVERLOADED, headers).end(sessionErrorBody('too-many-under-way', NO_ROOM))
  return requestId
}
