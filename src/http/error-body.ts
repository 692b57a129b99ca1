// An error as it is sent, by whatever sends it: the error filter, Node's parser, or what counts connections.

import { randomUUID } from 'node:crypto'

import type { ErrorKind } from '../domain/errors.js'

/** Every kind's status, and the prefix its message has always had. */
export const KINDS = {
  bad_request: { status: 400, prefix: 'bad request' },
  unauthorized: { status: 401, prefix: 'unauthorized' },
  forbidden: { status: 403, prefix: 'forbidden' },
  not_found: { status: 404, prefix: 'not found' },
  method_not_allowed: { status: 405, prefix: 'method not allowed' },
  too_many_requests: { status: 429, prefix: 'too many requests' },
  backend_unreachable: { status: 502, prefix: 'backend unreachable' },
  sts_error: { status: 502, prefix: 'sts error' },
  aws_not_configured: { status: 503, prefix: 'aws not configured' },
  ledger_unavailable: { status: 503, prefix: 'ledger unavailable' },
  overloaded: { status: 503, prefix: 'overloaded' },
  audit_error: { status: 500, prefix: 'audit error' },
  internal: { status: 500, prefix: 'internal' },
} satisfies Record<ErrorKind, { status: number; prefix: string }>

export function errorBody(kind: ErrorKind, detail: string, reason?: string): string {
  const message = `${KINDS[kind].prefix}: ${detail}`
  return `${JSON.stringify({ error: kind, message, ...(reason === undefined ? {} : { reason }) })}\n`
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Of every reply. A caller's own id is not taken over: the log's ids must be ours. */
export function commonHeaders(requestId: string): Record<string, string> {
  return { 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' }
}

export function newRequestId(): string {
  return randomUUID()
}
