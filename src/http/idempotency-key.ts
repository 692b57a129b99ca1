import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'

/** Visible ASCII: Node joins two headers of the name with a comma and a space, which this refuses. */
const KEY = /^[\x21-\x7e]{1,255}$/

/** The header's value, by which a retry is known; undefined where there is none. It may be a caller's secret: never shown. */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const key = context.switchToHttp().getRequest<FastifyRequest>().headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key === 'string' && KEY.test(key)) return key
  const detail = 'Idempotency-Key must be one header of 1 to 255 characters of visible ASCII'
  throw new BrokerError('invalid-idempotency-key', detail)
})

/** Set on a reply that a mint before it has given. */
export const REPLAYED = 'Idempotency-Replayed'
