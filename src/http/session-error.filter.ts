import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

import { BrokerError } from '../domain/errors.js'
import { SessionError } from '../session/session-backend.js'
import { SessionRefusal } from '../session/session-scope.js'
import {
  SESSION_CODE_OF_REASON,
  SessionApiError,
  type SessionReason,
  sendSessionError,
} from './session-error-body.js'
import { allowedMethods } from './unknown-route.js'

/** What stopped a request before a controller saw it, in our words: a parser's own may repeat what was sent. */
const BEFORE_THE_CONTROLLER: Record<number, [SessionReason, string]> = {
  400: ['body-malformed', 'the body must be a JSON object'],
  413: ['body-too-large', 'the body must be 16 KiB at most'],
  415: ['body-unsupported', 'the content type must be application/json'],
}

/** The only place where an error of the embedded session backend becomes an HTTP answer. */
@Catch()
export class SessionErrorFilter implements ExceptionFilter {
  constructor(private readonly log: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const request = http.getRequest<FastifyRequest>()
    void sendSessionError(http.getResponse<FastifyReply>(), this.meaning(error, request))
  }

  private meaning(error: unknown, request: FastifyRequest): SessionApiError {
    if (error instanceof SessionApiError) return error
    if (error instanceof SessionError && error.code === 'unauthorized')
      return new SessionApiError('session-not-valid', error.message)
    if (error instanceof SessionRefusal)
      return new SessionApiError(error.code === 'denied' ? 'not-permitted' : 'no-such-thing', error.message)
    const reason = error instanceof BrokerError ? sharedReason(error.reason) : undefined
    if (reason) return new SessionApiError(reason, (error as BrokerError).message)
    const status = error instanceof HttpException ? error.getStatus() : undefined
    if (status === 404) return unknownSessionRoute(request)
    const known = status === undefined ? undefined : BEFORE_THE_CONTROLLER[status]
    if (known) return new SessionApiError(...known)
    this.log.error({ requestId: request.id }, trace(error))
    return new SessionApiError('backend-failed', 'internal error')
  }
}

/** What checks requests for both listeners speaks of reasons that both have. */
function sharedReason(reason: string): SessionReason | undefined {
  return Object.hasOwn(SESSION_CODE_OF_REASON, reason) ? (reason as SessionReason) : undefined
}

function unknownSessionRoute(request: FastifyRequest): SessionApiError {
  const Allow = allowedMethods(request).join(', ')
  if (Allow === '') return new SessionApiError('no-such-path', 'no such route')
  return new SessionApiError('method-not-allowed', `this path takes ${Allow}`, { Allow })
}

/** Where it happened, without the message: only our own errors are known to hold no text from the outside. */
function trace(error: unknown): string {
  if (!(error instanceof Error)) return 'something was thrown that is no error'
  const frames = error.stack?.match(/^\s+at .*$/gm) ?? []
  return [error instanceof SessionError ? error.message : error.name, ...frames].join('\n')
}
