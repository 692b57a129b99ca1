// Who is calling: a bearer comes in, and a session, or a closed set of refusals, comes out.

import type { ChildSession } from '../domain/ledger/child-session.js'
import { type Wallet } from '../domain/wallet.js'

export interface Session {
  wallet: Wallet
  /** What the backend calls the agent, where it names one. */
  agent?: string
  /** Of a child session: what it may do, as it is now, and which sessions it comes from. */
  child?: ChildSession
  /** Which backend vouched for it, as the ledger records it: `embedded`, or the origin of its URL. */
  backend: string
}

/**
 * unauthorized          the bearer stands for no session now. `message` may be shown to the caller.
 * overloaded            our own requests had every connection to the backend until the time was over.
 * backend-unreachable   the backend could not be asked. `message` says why, without addresses, bearers or text from the outside.
 */
export type SessionErrorCode = 'unauthorized' | 'overloaded' | 'backend-unreachable'

export class SessionError extends Error {
  constructor(
    readonly code: SessionErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'SessionError'
  }
}

/**
 * test/contract/session-backend.contract.ts holds every implementation to this.
 *
 * validate  resolves for a bearer that stands for a session at a moment after the call. It never answers from
 *           memory, so a revocation is seen by the very next call; it has no effect, so it may be asked again.
 *           Everything else rejects with SessionError, in bounded time. Doubt is 'backend-unreachable', never a session.
 *           A bearer that fails assertWellFormed is refused before anything is asked.
 * validated, unchangedSince  validate, with a mark that says later whether its answer can be relied on still. False costs
 *           another validate and no more.
 * healthy   whether validate is likely to get an answer now. Never rejects.
 * close     frees what the backend holds. Nothing may be called after it but healthy, which is then false.
 */
export abstract class SessionBackend {
  abstract validate(bearer: string): Promise<Session>

  async validated(bearer: string): Promise<Validated> {
    const session = await this.validate(bearer)
    // Of the answer, not of the question: a backend may take longer to answer than its answer is relied on.
    return { session, mark: performance.now() }
  }

  /** A backend elsewhere says nothing of its own accord: it is asked again after a second. */
  unchangedSince(mark: number): boolean {
    return performance.now() - mark < RELIED_ON_MS
  }

  abstract healthy(): Promise<boolean>
  abstract close(): Promise<void>
}

/** How long an answer of a backend elsewhere is relied on within one mint. It is never used for a second mint. */
const RELIED_ON_MS = 1_000

export interface Validated {
  session: Session
  mark: number
}

/** What the caller reads when the backend gives no better reason. */
export const NOT_VALID = 'session not valid'

/** Visible ASCII is all that a header may carry unambiguously, and 4,096 characters hold any token worth sending. */
export function assertWellFormed(bearer: string): void {
  if (!/^[\x21-\x7e]{1,4096}$/.test(bearer)) throw new SessionError('unauthorized', NOT_VALID)
}
