// The thread that owns sessions.sqlite. Asked by embedded-sessions.ts, one question at a time, in order.

import { workerData } from 'node:worker_threads'

import { accessRemedy } from '../storage/access-remedy.js'
import { isSqliteError } from '../storage/sqlite-error.js'
import { serve } from '../worker/serve.js'
import type { SessionFailure, TimedRequest } from './embedded-sessions.js'
import { SessionError } from './session-backend.js'
import { SessionRefusal } from './session-scope.js'
import { SessionStore } from './session-store.js'

const DELETE_EXPIRED_EVERY_MS = 3_600_000

const path = workerData as string
let store: SessionStore | undefined
let at = 0
let deletedAt = 0

function opened(): SessionStore {
  if (store) return store
  try {
    deletedAt = at
    return (store = new SessionStore(path, () => new Date(at)))
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    const reason = message.includes(path) ? message : `${path}: ${message}`
    const remedy = code === 'SQLITE_NOTADB' ? 'move it away, and a new one is made' : accessRemedy(path, code)
    throw new SessionError(
      'backend-unreachable',
      `session store cannot be opened (${code ?? 'see the log'})`,
      {
        cause: new Error(remedy === undefined ? reason : `${reason}: ${remedy}`, { cause: error }),
      },
    )
  }
}

async function answer({ request, at: askedAt, until }: TimedRequest): Promise<unknown> {
  // The caller has timed out: a request without a caller must not change anything.
  if (Date.now() > until) throw new Error('the caller has given up')
  at = askedAt
  const sessions = opened()
  if (at - deletedAt > DELETE_EXPIRED_EVERY_MS) {
    deletedAt = at
    sessions.deleteExpired()
  }
  switch (request.op) {
    case 'open':
      return undefined
    case 'validate':
      return sessions.validate(request.bearer)
    case 'healthy':
      return sessions.healthy()
    case 'create':
      return sessions.create(request.authToken)
    case 'create-for':
      return sessions.createFor(request.wallet)
    case 'account':
      return sessions.account(request.bearer, request.call)
    case 'deliver':
      return sessions.deliver(request.mail)
    case 'inbox-owner':
      return sessions.inboxOwner(request.address)
    case 'child':
      return sessions.child(request.bearer, request.scope)
    case 'revoke':
      return sessions.revoke(request.bearer, request.target)
  }
}

function failure(error: unknown, { request: { op } }: TimedRequest): SessionFailure {
  const { message, cause } = error as Error
  const reason = cause instanceof Error ? cause.message : undefined
  // As in the ledger's thread: the next question opens the file again, which makes durable what it then reads.
  if (isIoError(error) || isIoError(cause)) reopenNextTime()
  if (op === 'open') return { kind: 'other', message: reason ?? message }
  if (error instanceof SessionRefusal) return { kind: 'refusal', code: error.code, message }
  if (error instanceof SessionError)
    return { kind: 'session', code: error.code, message, ...(reason ? { reason } : {}) }
  return {
    kind: 'session',
    code: 'backend-unreachable',
    message: 'session store failed',
    reason: message,
  }
}

function isIoError(error: unknown): boolean {
  return isSqliteError(error) && error.code.startsWith('SQLITE_IOERR')
}

function reopenNextTime(): void {
  const broken = store
  store = undefined
  void broken?.close().catch(() => undefined)
}

serve<TimedRequest, SessionFailure>({ answer, failure, close: () => void store?.close() })
