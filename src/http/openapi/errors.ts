// Every error of the API, from the same tables that answer it: a reason that is not described does not compile.

import { type ErrorKind, type ErrorReason, KIND_OF_REASON } from '../../domain/errors.js'
import { KINDS, statusOf } from '../error-body.js'
import { object, ref, type Schema, text } from './schemas.js'

const REASONS = Object.keys(KIND_OF_REASON) as ErrorReason[]

export const ERROR_SCHEMA: Schema = object({
  error: { type: 'string', enum: Object.keys(KINDS), description: 'the kind', examples: ['forbidden'] },
  message: text('a sentence for people', 'forbidden: ttl_seconds must be 60 to 300'),
  reason: {
    type: 'string',
    enum: REASONS,
    description: 'why, for programs',
    examples: ['ttl-out-of-bounds'],
  },
})

/** Of every request, whatever it asks for: refused by the parser, for want of room, or by a failure of the broker. */
const OF_EVERY_REQUEST: readonly ErrorKind[] = [
  'bad_request',
  'not_found',
  'method_not_allowed',
  'overloaded',
  'internal',
]

/** The error replies of a route, by status. */
export function errorReplies(kinds: readonly ErrorKind[]): Record<string, Schema> {
  const possible = new Set([...OF_EVERY_REQUEST, ...kinds])
  const byStatus = new Map<number, ErrorReason[]>()
  for (const reason of REASONS.filter((name) => possible.has(KIND_OF_REASON[name]))) {
    const status = statusOf(reason)
    byStatus.set(status, [...(byStatus.get(status) ?? []), reason])
  }
  const sorted = [...byStatus].sort(([a], [b]) => a - b)
  return Object.fromEntries(sorted.map(([status, reasons]) => [String(status), errorReply(reasons)]))
}

function errorReply(reasons: readonly ErrorReason[]): Schema {
  const kinds = [...new Set(reasons.map((reason) => KIND_OF_REASON[reason]))]
  const narrowed = { properties: { error: { enum: kinds }, reason: { enum: reasons } } }
  return {
    description: `${kinds.join(', ')}: ${reasons.join(', ')}`,
    content: { 'application/json': { schema: { allOf: [ref('Error'), narrowed] } } },
  }
}
