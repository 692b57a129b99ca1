import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'

/** What assertWellFormed takes (session/session-backend.ts), and what the original wire contract says: exactly this. */
const BEARER = /^Bearer ([\x21-\x7e]+)$/
const LONGEST_BEARER = 4096

type Authorization =
  { token: string } | { reason: 'missing-authorization' | 'malformed-authorization'; detail: string }

type Headers = Pick<FastifyRequest, 'headers' | 'raw'>

/** The token of `Authorization: Bearer <token>`, verbatim, or why there is none. What was sent is not repeated. */
export function readAuthorization({ headers, raw }: Headers): Authorization {
  // Of two headers Node keeps the first, and a proxy in front may have looked at the other.
  const given = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'authorization')
  if (given.length === 0) return { reason: 'missing-authorization', detail: 'missing Authorization header' }
  if (given.length > 1) return malformed('there is more than one Authorization header')
  const token = BEARER.exec(headers.authorization ?? '')?.[1]
  if (token === undefined)
    return malformed('the Authorization header must be Bearer, one space and the token, in visible ASCII')
  if (token.length > LONGEST_BEARER) return malformed(`a bearer has at most ${LONGEST_BEARER} characters`)
  return { token }
}

function malformed(detail: string): Authorization {
  return { reason: 'malformed-authorization', detail }
}

export function bearerOf(request: Headers): string {
  const authorization = readAuthorization(request)
  if ('token' in authorization) return authorization.token
  throw new BrokerError(authorization.reason, authorization.detail)
}

export const Bearer = createParamDecorator((_: unknown, context: ExecutionContext): string =>
  bearerOf(context.switchToHttp().getRequest<FastifyRequest>()),
)
