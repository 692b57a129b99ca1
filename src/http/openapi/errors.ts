// Every error of both APIs, from the tables that answer it: a reason that has no kind does not compile.

import { type ErrorKind, type ErrorReason, KIND_OF_REASON } from '../../domain/errors.js'
import { KINDS, statusOf } from '../error-body.js'
import {
  SESSION_CODE_OF_REASON,
  SESSION_CODES,
  type SessionCode,
  type SessionReason,
} from '../session-error-body.js'
import { object, ref, type Schema, text } from './schemas.js'

const REASONS = Object.keys(KIND_OF_REASON) as ErrorReason[]
const SESSION_REASONS = Object.keys(SESSION_CODE_OF_REASON) as SessionReason[]

export const ERROR_SCHEMA: Schema = object(
  {
    error: { type: 'string', enum: Object.keys(KINDS), description: 'the kind', examples: ['forbidden'] },
    message: text('a sentence for people', 'forbidden: ttl_seconds must be 60 to 300'),
    reason: {
      type: 'string',
      enum: REASONS,
      description: 'why, for programs',
      examples: ['ttl-out-of-bounds'],
    },
    approval_id: text('of approval_required only', 'apr-019a8c1e-7d3a-7b1c-9e2f-0123456789ab'),
    poll: text(
      'of approval_required only: where to wait',
      '/v1/approvals/apr-019a8c1e-7d3a-7b1c-9e2f-0123456789ab',
    ),
    expires_at: text('of approval_required only: when the request ends', '2026-11-27T18:00:00.000Z'),
  },
  ['approval_id', 'poll', 'expires_at'],
)

const CODE: Schema = { type: 'string', enum: Object.keys(SESSION_CODES), examples: ['DENIED'] }

export const SESSION_ERROR_SCHEMA: Schema = object({
  error: { ...CODE, description: 'the code' },
  code: { ...CODE, description: 'the code again: the original has both' },
  message: text('a sentence for people', 'the session is read-only'),
  reason: {
    type: 'string',
    enum: SESSION_REASONS,
    description: 'why, for programs',
    examples: ['not-permitted'],
  },
})

/** The reasons of a kind, so that an operation need not list what it cannot tell apart. */
export function reasonsOf(...kinds: ErrorKind[]): ErrorReason[] {
  return REASONS.filter((reason) => kinds.includes(KIND_OF_REASON[reason]))
}

/** Of every request, whatever it asks for: refused by the parser, for want of room, or by a failure of the broker. */
const OF_EVERY_REQUEST: readonly ErrorReason[] = [
  ...reasonsOf('bad_request', 'method_not_allowed', 'internal'),
  'no-such-path',
  'too-many-under-way',
]

export function errorReplies(reasons: readonly ErrorReason[]): Record<string, Schema> {
  const possible = new Set([...OF_EVERY_REQUEST, ...reasons])
  return byStatus(
    REASONS.filter((reason) => possible.has(reason)),
    statusOf,
    (reason) => ({ error: KIND_OF_REASON[reason] }),
  )
}

const OF_EVERY_SESSION_REQUEST: readonly SessionCode[] = [
  'BAD_REQUEST',
  'METHOD_NOT_ALLOWED',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INTERNAL_ERROR',
  'OVERLOADED',
]

export function sessionErrorReplies(reasons: readonly SessionReason[]): Record<string, Schema> {
  const possible = new Set<SessionReason>([
    'host-not-loopback',
    'from-a-web-page',
    'no-such-path',
    ...reasons,
  ])
  const isPossible = (reason: SessionReason) =>
    possible.has(reason) || OF_EVERY_SESSION_REQUEST.includes(SESSION_CODE_OF_REASON[reason])
  return byStatus(SESSION_REASONS.filter(isPossible), sessionStatusOf, (reason) => {
    const code = SESSION_CODE_OF_REASON[reason]
    return { error: code, code }
  })
}

/** What Node's parser refuses has the same status on both listeners (malformed-request.ts). */
function sessionStatusOf(reason: SessionReason): number {
  if (reason === 'request-too-slow' || reason === 'headers-too-large') return statusOf(reason)
  return SESSION_CODES[SESSION_CODE_OF_REASON[reason]]
}

function byStatus<Reason extends string>(
  reasons: readonly Reason[],
  statusOf: (reason: Reason) => number,
  membersOf: (reason: Reason) => Record<string, string>,
): Record<string, Schema> {
  const statuses = [...new Set(reasons.map(statusOf))].sort((a, b) => a - b)
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      errorReply(
        reasons.filter((reason) => statusOf(reason) === status),
        membersOf,
      ),
    ]),
  )
}

function errorReply<Reason extends string>(
  reasons: readonly Reason[],
  membersOf: (reason: Reason) => Record<string, string>,
): Schema {
  const members = reasons.map((reason) => ({ ...membersOf(reason), reason }))
  const names = Object.keys(members[0] ?? {}) as (keyof (typeof members)[0])[]
  const properties = Object.fromEntries(
    names.map((name) => [name, { enum: [...new Set(members.map((one) => one[name]))] }]),
  )
  const kinds = [...new Set(members.map((one) => (one as unknown as { error: string }).error))]
  return {
    description: `${kinds.join(', ')}: ${reasons.join(', ')}`,
    content: { 'application/json': { schema: { allOf: [ref('Error'), { type: 'object', properties }] } } },
  }
}
