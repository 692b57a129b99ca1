import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'

const BEARER = /^Bearer ([\x21-\x7e]+)$/

/** The token of `Authorization: Bearer <token>`, verbatim. Any other scheme, case or byte counts as no header. */
export function bearerOf(authorization: string | undefined): string {
  const token = BEARER.exec(authorization ?? '')?.[1]
  if (token === undefined) throw new BrokerError('unauthorized', 'missing Authorization header')
  return token
}

export const Bearer = createParamDecorator((_: unknown, context: ExecutionContext): string =>
  bearerOf(context.switchToHttp().getRequest<FastifyRequest>().headers.authorization),
)
