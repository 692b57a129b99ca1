import { createParamDecorator, type ExecutionContext } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'

import { readAuthorization } from './bearer.js'
import { SessionApiError } from './session-error-body.js'

/** As the broker's own API reads it: bearer.ts. */
export const SessionBearer = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const authorization = readAuthorization(context.switchToHttp().getRequest<FastifyRequest>())
  if ('token' in authorization) return authorization.token
  throw new SessionApiError(authorization.reason, authorization.detail)
})
