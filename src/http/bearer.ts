import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'

const BEARER = /^Bearer ([\x21-\x7e]+)$/

/** The token of `Authorization: Bearer <token>`, verbatim. Any other scheme, case or byte counts as no header. */
export function bearerOf({ headers, raw }: Pick<FastifyRequest, 'headers' | 'raw'>): string {
  // Of two headers Node keeps the first, and a proxy in front may have looked at the other.
  const given = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'authorization')
  const token = given.length === 1 ? BEARER.exec(headers.authorization ?? '')?.[1] : undefined
  if (token === undefined) throw new BrokerError('unauthorized', 'missing Authorization header')
  return token
}

export const Bearer = createParamDecorator((_: unknown, context: ExecutionContext): string =>
  bearerOf(context.switchToHttp().getRequest<FastifyRequest>()),
)
