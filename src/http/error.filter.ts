import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

import { StsError, StsOverloaded } from '../aws/sts.js'
import { RefusalCounter } from '../commands/refusal-counter.js'
import { BrokerError, type ErrorKind, type ErrorReason, KIND_OF_REASON } from '../domain/errors.js'
import { LedgerError, type LedgerErrorCode } from '../domain/ledger-error.js'
import { SessionError, type SessionErrorCode } from '../session/session-backend.js'
import { type Problem, sendError } from './error-reply.js'
import { unknownRoute } from './unknown-route.js'

const SESSION_REASON = {
  unauthorized: 'session-not-valid',
  overloaded: 'backend-queue-full',
  'backend-unreachable': 'backend-unreachable',
} satisfies Record<SessionErrorCode, ErrorReason>

const LEDGER_REASON = {
  unavailable: 'ledger-unavailable',
  'in-doubt': 'ledger-unavailable',
  failed: 'ledger-failed',
  'too-large': 'entry-too-large',
  'keys-changed': 'signing-key-changed',
  'key-not-active': 'signing-key-changed',
  'cut-off': 'cut-off',
  'grant-changed': 'no-grant',
  'grants-full': 'too-many-grants',
  'approval-changed': 'no-such-approval',
  'approvals-full': 'too-many-approvals',
  'session-changed': 'ledger-unavailable',
} satisfies Record<LedgerErrorCode, ErrorReason>

/** The only place where an error becomes an HTTP answer. What is not listed is `internal`, and its text stays here. */
function problemOf(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof BrokerError) return problemOfBroker(error)
  if (error instanceof SessionError) return { reason: SESSION_REASON[error.code], detail: error.message }
  if (error instanceof StsOverloaded) return { reason: 'sts-queue-full', detail: error.message }
  if (error instanceof StsError) return { reason: error.code, detail: error.message }
  if (error instanceof LedgerError) return { reason: LEDGER_REASON[error.code], detail: error.message }
  return refusedByFastify(error, request) ?? FAILED
}

function problemOfBroker({ reason, message: detail, retryAfterSeconds, members }: BrokerError): Problem {
  if (retryAfterSeconds === undefined) return { reason, detail, members }
  return { reason, detail, members, headers: { 'Retry-After': String(retryAfterSeconds) } }
}

const FAILED: Problem = { reason: 'broker-failed', detail: 'the broker failed; its log says why' }

/** What Fastify refuses before a handler runs: an unknown route, a body too large, a malformed request. */
function refusedByFastify(error: unknown, request: FastifyRequest): Problem | undefined {
  const status =
    error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown })?.statusCode
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined
  if (status === 404) return unknownRoute(request)
  if (status === 413) return { reason: 'body-too-large', detail: 'the body must be at most 16 KiB' }
  return { reason: 'malformed-request', detail: 'the request is malformed' }
}

const COUNTED: ReadonlySet<ErrorKind> = new Set(['unauthorized', 'backend_unreachable', 'too_many_requests'])

@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly refusals: RefusalCounter,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()]
    const problem = problemOf(error, request)
    const kind = KIND_OF_REASON[problem.reason]
    if (kind === 'internal') this.log.error({ err: error, requestId: request.id }, 'request failed')
    // A flood of these must not fill the ledger: they are counted, and the counts are an entry once a minute.
    if (COUNTED.has(kind)) this.refusals.count(countedAs(error))
    sendError(reply, problem)
  }
}

/** Of a request that never had a valid session, or came too often. These names are in ledgers. */
function countedAs(error: unknown): string {
  if (error instanceof SessionError) return error.code
  return error instanceof BrokerError ? error.reason : 'unauthorized'
}
