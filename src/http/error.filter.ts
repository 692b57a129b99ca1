import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

import { StsError, StsOverloaded } from '../aws/sts.js'
import { RefusalCounter } from '../commands/refusal-counter.js'
import { BrokerError, type ErrorKind } from '../domain/errors.js'
import { LedgerError, type LedgerErrorCode } from '../domain/ledger-error.js'
import { SessionError, type SessionErrorCode } from '../session/session-backend.js'
import { UnsupportedBody } from './body.js'
import { errorBody, JSON_TYPE, KINDS } from './error-body.js'
import { allowedMethods } from './unknown-route.js'

const SESSION_KIND = {
  unauthorized: 'unauthorized',
  overloaded: 'overloaded',
  'backend-unreachable': 'backend_unreachable',
} satisfies Record<SessionErrorCode, ErrorKind>

const LEDGER_KIND = {
  unavailable: 'ledger_unavailable',
  failed: 'audit_error',
  'too-large': 'bad_request',
  'keys-changed': 'ledger_unavailable',
  'key-not-active': 'ledger_unavailable',
} satisfies Record<LedgerErrorCode, ErrorKind>

interface Problem {
  kind: ErrorKind
  detail: string
  status?: number
  retryAfterSeconds?: number | undefined
}

/** The only place where an error becomes an HTTP answer. What is not listed is `internal`, and its text stays here. */
function problemOf(error: unknown): Problem {
  if (error instanceof BrokerError) {
    return { kind: error.kind, detail: error.message, retryAfterSeconds: error.retryAfterSeconds }
  }
  if (error instanceof SessionError) {
    const kind = SESSION_KIND[error.code]
    return { kind, detail: error.message, ...(kind === 'overloaded' ? { retryAfterSeconds: 1 } : {}) }
  }
  if (error instanceof StsOverloaded)
    return { kind: 'overloaded', detail: error.message, retryAfterSeconds: 1 }
  if (error instanceof StsError) return { kind: 'sts_error', detail: error.message }
  if (error instanceof LedgerError) {
    const kind = LEDGER_KIND[error.code]
    return { kind, detail: error.message, ...(kind === 'ledger_unavailable' ? { retryAfterSeconds: 1 } : {}) }
  }
  if (error instanceof UnsupportedBody) return { kind: 'bad_request', detail: error.message, status: 415 }
  return refusedByFastify(error) ?? { kind: 'internal', detail: 'the broker failed; its log says why' }
}

/** What Fastify refuses before a handler runs: a body too large, a malformed request. */
function refusedByFastify(error: unknown): Problem | undefined {
  const status =
    error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown })?.statusCode
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined
  const detail = status === 413 ? 'the body must be at most 16 KiB' : 'the request is malformed'
  return { kind: 'bad_request', detail, status }
}

@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly refusals: RefusalCounter,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()]
    if (error instanceof HttpException && error.getStatus() === 404) return unknownRoute(request, reply)
    const { kind, detail, status, retryAfterSeconds } = problemOf(error)
    if (kind === 'internal') this.log.error({ err: error, requestId: request.id }, 'request failed')
    if (retryAfterSeconds !== undefined) void reply.header('Retry-After', String(retryAfterSeconds))
    reply.outcome = kind
    // A flood of these must not fill the ledger: they are counted, and the counts are an entry once a minute.
    if (kind === 'unauthorized' || kind === 'backend_unreachable') this.refusals.count(reasonOf(error))
    void reply
      .status(status ?? KINDS[kind].status)
      .header('Cache-Control', 'no-store')
      .type(JSON_TYPE)
      .send(errorBody(kind, detail))
  }
}

/** Of a request that never had a valid session. */
function reasonOf(error: unknown): string {
  return error instanceof SessionError ? error.code : 'missing-authorization'
}

/** As the original: an unknown path is an empty 404, a known one with another method an empty 405. */
function unknownRoute(request: FastifyRequest, reply: FastifyReply): void {
  reply.outcome = 'not_found'
  // A route that was found says itself that the thing asked for is not there.
  const allowed = request.is404 ? allowedMethods(request) : []
  // Caches may keep a bare 404, and a tile that is not there yet will be there in a moment.
  void reply.header('Cache-Control', 'no-store')
  if (allowed.length > 0) void reply.status(405).header('Allow', allowed.join(', ')).send()
  else void reply.status(404).send()
}
