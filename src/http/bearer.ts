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

export const Bearer = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const { headers, raw } = context.switchToHttp().getRequest<FastifyRequest>()
  // Of two, Node keeps the first; a proxy in front may have looked at the other.
  const given = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'authorization')
  return bearerOf(given.length === 1 ? headers.authorization : undefined)
})
