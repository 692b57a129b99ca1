// The thread that owns sessions.sqlite. Asked by embedded-sessions.ts, one question at a time, in order.

import { parentPort, workerData } from 'node:worker_threads'

import { accessRemedy } from '../storage/access-remedy.js'
import { isSqliteError } from '../storage/sqlite-error.js'
import type { SessionResponse, SessionRequest } from './embedded-sessions.js'
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

async function answer(question: SessionRequest): Promise<unknown> {
  const sessions = opened()
  if (at - deletedAt > DELETE_EXPIRED_EVERY_MS) {
    deletedAt = at
    sessions.deleteExpired()
  }
  switch (question.op) {
    case 'open':
      return undefined
    case 'validate':
      return sessions.validate(question.bearer)
    case 'healthy':
      return sessions.healthy()
    case 'create':
      return sessions.create(question.authToken)
    case 'create-for':
      return sessions.createFor(question.wallet)
    case 'account':
      return sessions.account(question.bearer, question.call)
    case 'deliver':
      return sessions.deliver(question.mail)
    case 'inbox-owner':
      return sessions.inboxOwner(question.address)
    case 'child':
      return sessions.child(question.bearer, question.scope)
    case 'revoke':
      return sessions.revoke(question.bearer, question.target)
  }
}

function failure(error: unknown, { op }: SessionRequest): SessionResponse {
  const { message, cause } = error as Error
  const reason = cause instanceof Error ? cause.message : undefined
  // As in the ledger's thread: the next question opens the file again, which makes durable what it then reads.
  if (isIoError(error) || isIoError(cause)) reopenNextTime()
  if (op === 'open') return { ok: false, kind: 'other', message: reason ?? message }
  if (error instanceof SessionRefusal) return { ok: false, kind: 'refusal', code: error.code, message }
  if (error instanceof SessionError)
    return { ok: false, kind: 'session', code: error.code, message, ...(reason ? { reason } : {}) }
  return {
    ok: false,
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

parentPort?.on(
  'message',
  (message: 'close' | { id: number; question: SessionRequest; at: number; until: number }) => {
    if (message === 'close') {
      void store?.close()
      parentPort?.close()
      return
    }
    const { id, question, until } = message
    // The caller has timed out: a request without a caller must not change anything.
    if (Date.now() > until) return
    at = message.at
    answer(question).then(
      (value) => parentPort?.postMessage({ id, answer: { ok: true, value } }),
      (error: unknown) => parentPort?.postMessage({ id, answer: failure(error, question) }),
    )
  },
)
