import type { FastifyReply } from 'fastify'

import { type ErrorReason, KIND_OF_REASON } from '../domain/errors.js'
import { errorBody, headersOf, JSON_TYPE, type Members, statusOf } from './error-body.js'

export interface Problem {
  reason: ErrorReason
  detail: string
  headers?: Record<string, string>
  members?: Members
}

/** No cache may keep one: a tile that is not there yet will be there in a moment. */
export function sendError(reply: FastifyReply, { reason, detail, headers = {}, members }: Problem): void {
  reply.outcome = KIND_OF_REASON[reason]
  reply.reason = reason
  void reply
    .status(statusOf(reason))
    .headers({ ...headersOf(reason), ...headers, 'Cache-Control': 'no-store' })
    .type(JSON_TYPE)
    .send(errorBody(reason, detail, members))
}
