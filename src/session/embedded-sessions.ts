import { Worker } from 'node:worker_threads'

import type { Scope } from '../domain/ledger/child-session.js'
import type { Wallet } from '../domain/wallet.js'
import {
  type Session,
  SessionBackend,
  SessionError,
  type SessionErrorCode,
  type Validated,
} from './session-backend.js'
import type { AccountCall, Mail } from './account-store.js'
import { SessionRefusal } from './session-scope.js'
import type { IssuedSession, RevokeTarget } from './session-store.js'

/** What embedded-sessions.worker.ts is asked, with the time of the question. */
export type SessionRequest =
  | { op: 'open' }
  | { op: 'validate'; bearer: string }
  | { op: 'healthy' }
  | { op: 'create'; authToken: string }
  | { op: 'create-for'; wallet: Wallet }
  | { op: 'account'; bearer: string; call: AccountCall }
  | { op: 'deliver'; mail: Mail }
  | { op: 'inbox-owner'; address: string }
  | { op: 'child'; bearer: string; scope: Scope }
  | { op: 'revoke'; bearer: string; target: RevokeTarget }

/** An error's class does not survive the way between threads. No message holds a bearer. */
export type SessionResponse =
  | { ok: true; value: unknown }
  | { ok: false; kind: 'session'; code: SessionErrorCode; message: string; reason?: string }
  | { ok: false; kind: 'refusal'; code: SessionRefusal['code']; message: string }
  | { ok: false; kind: 'other'; message: string }

interface PendingCall {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}

/** Longer than SQLite waits for a lock. A question that waited so long is not looked at any more. */
const DEADLINE_MS = 10_000
const OPEN_DEADLINE_MS = 60_000
const MOST_WAITING = 4_096

/**
 * The session backend of a broker that is not given one (session-store.ts), in a thread of its own: a lock or a slow disk
 * holds up requests that need a session, and nothing else. The thread is started by the first question.
 */
export class EmbeddedSessions extends SessionBackend {
  private worker: Worker | undefined
  private readonly waiting = new Map<number, PendingCall>()
  private lastId = 0
  private closed = false
  /** How many calls may have ended sessions or narrowed them, counted before their callers hear of it. */
  private changes = 0

  constructor(
    private readonly path: string,
    private readonly now: () => Date,
    private readonly deadlineMs = DEADLINE_MS,
  ) {
    super()
  }

  /** Rejects with the reason, which names the file, when it cannot be used. */
  async open(): Promise<void> {
    await this.call({ op: 'open' }, OPEN_DEADLINE_MS)
  }

  async validate(bearer: string): Promise<Session> {
    return (await this.call({ op: 'validate', bearer })) as Session
  }

  /** The mark is of before: a change while the thread reads may be one that it did not see. */
  override async validated(bearer: string): Promise<Validated> {
    const mark = this.changes
    return { session: await this.validate(bearer), mark }
  }

  /** Every change comes through here: what was validated holds until the next one. */
  override unchangedSince(mark: number): boolean {
    return this.changes === mark
  }

  healthy(): Promise<boolean> {
    return this.call({ op: 'healthy' }).then(
      (healthy) => healthy === true,
      () => false,
    )
  }

  async create(authToken: string): Promise<IssuedSession> {
    return (await this.call({ op: 'create', authToken })) as IssuedSession
  }

  async createFor(wallet: Wallet): Promise<IssuedSession> {
    return (await this.call({ op: 'create-for', wallet })) as IssuedSession
  }

  /** What account-store.ts answers to the call, of the shape that its operation has. */
  account(bearer: string, call: AccountCall): Promise<unknown> {
    const narrows = call.op === 'set-scope' || call.op === 'teardown'
    return narrows
      ? this.changing({ op: 'account', bearer, call })
      : this.call({ op: 'account', bearer, call })
  }

  async deliver(mail: Mail): Promise<string> {
    return (await this.call({ op: 'deliver', mail })) as string
  }

  /** For the mail router. */
  async inboxOwner(address: string): Promise<Wallet | undefined> {
    return (await this.call({ op: 'inbox-owner', address })) as Wallet | undefined
  }

  async child(bearer: string, scope: Scope): Promise<IssuedSession> {
    return (await this.call({ op: 'child', bearer, scope })) as IssuedSession
  }

  /** How many sessions this call has ended. */
  async revoke(bearer: string, target: RevokeTarget): Promise<number> {
    return (await this.changing({ op: 'revoke', bearer, target })) as number
  }

  async close(): Promise<void> {
    this.closed = true
    const { worker } = this
    if (!worker) return
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    worker.postMessage('close')
    await ended
  }

  /** Counted before the caller hears of it: a mint that is chained after that must see it. */
  private async changing(question: SessionRequest): Promise<unknown> {
    try {
      return await this.call(question)
    } finally {
      this.changes += 1
    }
  }

  private call(question: SessionRequest, deadlineMs = this.deadlineMs): Promise<unknown> {
    if (this.closed) return Promise.reject(failed('closed'))
    if (this.waiting.size >= MOST_WAITING) return Promise.reject(failed('too many requests wait'))
    const worker = (this.worker ??= this.started())
    const id = (this.lastId += 1)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        reject(failed('no answer in time'))
      }, deadlineMs)
      this.waiting.set(id, { resolve, reject, timer })
      const at = this.now().getTime()
      worker.postMessage({ id, question, at, until: Date.now() + deadlineMs })
    })
  }

  private started(): Worker {
    const worker = new Worker(new URL('./embedded-sessions.worker.js', import.meta.url), {
      workerData: this.path,
    })
    worker.on('message', ({ id, answer }: { id: number; answer: SessionResponse }) => this.settle(id, answer))
    worker.on('error', () => this.lose(worker))
    worker.on('exit', () => this.lose(worker))
    return worker
  }

  private settle(id: number, answer: SessionResponse): void {
    const waiting = this.waiting.get(id)
    if (!waiting) return
    this.waiting.delete(id)
    clearTimeout(waiting.timer)
    if (answer.ok) waiting.resolve(answer.value)
    else waiting.reject(errorOf(answer))
  }

  private lose(worker: Worker): void {
    if (this.worker !== worker) return
    this.worker = undefined
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer)
      reject(failed('its thread ended'))
    }
    this.waiting.clear()
  }
}

function failed(why: string): SessionError {
  return new SessionError('backend-unreachable', `session store failed (${why})`)
}

function errorOf(answer: Extract<SessionResponse, { ok: false }>): Error {
  switch (answer.kind) {
    case 'session':
      return new SessionError(answer.code, answer.message, { cause: answer.reason })
    case 'refusal':
      return new SessionRefusal(answer.code, answer.message)
    case 'other':
      return new Error(answer.message)
  }
}
