import { Worker } from 'node:worker_threads'

import { deadline } from '../deadline.js'
import type { Scope } from '../domain/ledger/child-session.js'
import type { Wallet } from '../domain/wallet.js'
import { WorkerThread } from '../worker/worker-thread.js'
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

/** What embedded-sessions.worker.ts is asked. */
export interface TimedRequest {
  request: SessionRequest
  /** The time of the question, ms. */
  at: number
  /** When its caller has given up, ms of the system's clock. */
  until: number
}

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

/** No message holds a bearer. */
export type SessionFailure =
  | { kind: 'session'; code: SessionErrorCode; message: string; reason?: string }
  | { kind: 'refusal'; code: SessionRefusal['code']; message: string }
  | { kind: 'other'; message: string }

/** Longer than SQLite waits for a lock. A question that waited so long is not looked at any more. */
const DEADLINE_MS = 10_000
const OPEN_DEADLINE_MS = 60_000
const MOST_WAITING = 4_096

/**
 * The session backend of a broker that is not given one (session-store.ts), in a thread of its own: a lock or a slow disk
 * holds up requests that need a session, and nothing else. The thread is started by the first question.
 */
export class EmbeddedSessions extends SessionBackend {
  private readonly thread: WorkerThread<TimedRequest, SessionFailure>
  /** How many calls may have ended sessions or narrowed them, counted before their callers hear of it. */
  private changes = 0

  constructor(
    path: string,
    private readonly now: () => Date,
    private readonly deadlineMs = DEADLINE_MS,
  ) {
    super()
    this.thread = new WorkerThread(
      () => new Worker(new URL('./embedded-sessions.worker.js', import.meta.url), { workerData: path }),
      {
        revived,
        lost: () => failed('its thread ended'),
        closed: () => failed('closed'),
      },
    )
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

  close(): Promise<void> {
    return this.thread.close()
  }

  /** Counted before the caller hears of it: a mint that is chained after that must see it. */
  private async changing(question: SessionRequest): Promise<unknown> {
    try {
      return await this.call(question)
    } finally {
      this.changes += 1
    }
  }

  private call(request: SessionRequest, deadlineMs = this.deadlineMs): Promise<unknown> {
    if (this.thread.waiting >= MOST_WAITING) return Promise.reject(failed('too many requests wait'))
    const answer = this.thread.call({ request, at: this.now().getTime(), until: Date.now() + deadlineMs })
    return deadline(deadlineMs, answer, () => failed('no answer in time'))
  }
}

function failed(why: string): SessionError {
  return new SessionError('backend-unreachable', `session store failed (${why})`)
}

function revived(failure: SessionFailure): Error {
  switch (failure.kind) {
    case 'session':
      return new SessionError(failure.code, failure.message, { cause: failure.reason })
    case 'refusal':
      return new SessionRefusal(failure.code, failure.message)
    case 'other':
      return new Error(failure.message)
  }
}
