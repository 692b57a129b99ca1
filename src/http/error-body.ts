// An error as it is sent, by whatever sends it: the error filter, Node's parser, or what counts connections.

import { randomUUID } from 'node:crypto'

import { type ErrorKind, type ErrorReason, KIND_OF_REASON } from '../domain/errors.js'

/** Every kind's status, and the prefix its message has always had. */
export const KINDS = {
  bad_request: { status: 400, prefix: 'bad request' },
  unauthorized: { status: 401, prefix: 'unauthorized' },
  forbidden: { status: 403, prefix: 'forbidden' },
  approval_required: { status: 403, prefix: 'approval required' },
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

/** Reasons for which HTTP has a closer status than that of their kind. */
const CLOSER_STATUS: { readonly [R in ErrorReason]?: number } = {
  'request-too-slow': 408,
  'body-too-large': 413,
  'body-unsupported': 415,
  'idempotency-key-reused': 422,
  'headers-too-large': 431,
}

export function statusOf(reason: ErrorReason): number {
  return CLOSER_STATUS[reason] ?? KINDS[KIND_OF_REASON[reason]].status
}

const REALM = 'Bearer realm="agentkeys-broker"'

/** What the reason asks of the caller, in the headers that HTTP has for it. */
export function headersOf(reason: ErrorReason): Record<string, string> {
  switch (KIND_OF_REASON[reason]) {
    case 'unauthorized':
      // RFC 6750 section 3: no error code for a request that shows no bearer.
      return {
        'WWW-Authenticate': showsBearer(reason) ? `${REALM}, error="invalid_token"` : REALM,
      }
    case 'overloaded':
    case 'ledger_unavailable':
      return { 'Retry-After': '1' }
    default:
      return {}
  }
}

function showsBearer(reason: ErrorReason): boolean {
  return reason === 'session-not-valid' || reason === 'not-the-operator' || reason === 'not-an-approver'
}

export function errorBody(reason: ErrorReason, detail: string, members: Members = {}): string {
  const kind = KIND_OF_REASON[reason]
  return `${JSON.stringify({ error: kind, message: `${KINDS[kind].prefix}: ${detail}`, reason, ...members })}\n`
}

/** Of some reasons only, beside those of every error. */
export type Members = Readonly<Record<string, string>>

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Of every reply. A caller's own id is not taken over: the log's ids must be ours. */
export function commonHeaders(requestId: string): Record<string, string> {
  return { 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' }
}

export function newRequestId(): string {
  return randomUUID()
}
