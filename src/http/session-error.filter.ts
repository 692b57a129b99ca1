import type { IncomingMessage, ServerResponse } from 'node:http'

import {
  type ArgumentsHost,
  BadRequestException,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
} from '@nestjs/common'
import { type FastifyReply } from 'fastify'

import { SessionRefusal } from '../session/session-scope.js'
import { SessionError } from '../session/session-backend.js'
import { NO_ROOM } from './overload.js'

/** The embedded session backend's error codes, as its callers know them, and their statuses. */
const STATUS = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  NOT_FOUND: 404,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INTERNAL_ERROR: 500,
  OVERLOADED: 503,
} as const

type Code = keyof typeof STATUS

/** What stopped a request before a controller saw it, in our words: a parser's own may repeat what was sent. */
const BEFORE_THE_CONTROLLER: Record<number, [Code, string]> = {
  400: ['BAD_REQUEST', 'the body must be a JSON object'],
  404: ['NOT_FOUND', 'no such route'],
  413: ['PAYLOAD_TOO_LARGE', 'the body must be 16 KiB at most'],
  415: ['UNSUPPORTED_MEDIA_TYPE', 'the content type must be application/json'],
}

export function sendSessionError(reply: FastifyReply, code: Code, message: string): FastifyReply {
  return reply.status(STATUS[code]).send({ error: code, code, message })
}

/** As overload.ts, in the words of this API. */
export function refuseSessionOverload(_request: IncomingMessage, response: ServerResponse): void {
  const body = `${JSON.stringify({ error: 'OVERLOADED', code: 'OVERLOADED', message: NO_ROOM })}\n`
  const headers = {
    'Content-Type': 'application/json; charset=utf-8',
    'Retry-After': '1',
    Connection: 'close',
  }
  response.writeHead(STATUS.OVERLOADED, headers).end(body)
}

/** The only place where an error of the embedded session backend becomes an HTTP answer. */
@Catch()
export class SessionErrorFilter implements ExceptionFilter {
  private readonly log = new Logger('SessionBackend')

  catch(error: unknown, host: ArgumentsHost): void {
    const [code, message] = this.meaning(error)
    void sendSessionError(host.switchToHttp().getResponse<FastifyReply>(), code, message)
  }

  private meaning(error: unknown): [Code, string] {
    if (error instanceof SessionError && error.code === 'unauthorized') return ['UNAUTHORIZED', error.message]
    if (error instanceof SessionRefusal)
      return [error.code === 'denied' ? 'DENIED' : 'NOT_FOUND', error.message]
    if (error instanceof BadRequestException) return ['BAD_REQUEST', error.message]
    const known = error instanceof HttpException ? BEFORE_THE_CONTROLLER[error.getStatus()] : undefined
    if (known) return known
    this.log.error(trace(error))
    return ['INTERNAL_ERROR', 'internal error']
  }
}

/** Where it happened, without the message: only our own errors are known to hold no text from the outside. */
function trace(error: unknown): string {
  if (!(error instanceof Error)) return 'something was thrown that is no error'
  const frames = error.stack?.match(/^\s+at .*$/gm) ?? []
  return [error instanceof SessionError ? error.message : error.name, ...frames].join('\n')
}
