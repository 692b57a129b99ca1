import { hash } from 'node:crypto'

import { Injectable } from '@nestjs/common'

import { BrokerError } from '../domain/errors.js'
import type { MintKind } from '../domain/ledger/events.js'
import { type Caller, type Decision, mintRefused } from '../domain/mint.js'
import { Ledger } from '../ledger/ledger.js'
import { SessionBackend } from '../session/session-backend.js'

/** Who is calling, and may they: the part every mint begins with. */
@Injectable()
export class MintAuthorizer {
  constructor(
    private readonly sessions: SessionBackend,
    private readonly ledger: Ledger,
  ) {}

  /** Rejects with SessionError, or LedgerError while the clock is implausible. Such requests are no entries of their own: http/error.filter.ts counts them. */
  async identify(bearer: string): Promise<Caller> {
    // An implausible clock cannot say whether a session has expired.
    this.ledger.clock()
    const { wallet, backend, agent, child } = await this.sessions.validate(bearer)
    // The mint's reading comes after the session's check, which may take long.
    const at = this.ledger.clock()
    return {
      mintId: this.ledger.newMintId(at),
      at,
      wallet,
      tokenSha256: hash('sha256', bearer),
      backend,
      agent,
      child,
    }
  }

  /** The grant, or a refusal that is durable before the caller hears of it. */
  async requireGrant<Grant>(caller: Caller, kind: MintKind, decision: Decision<Grant>): Promise<Grant> {
    if ('granted' in decision) return decision.granted
    const { refused } = decision
    await this.ledger.append([mintRefused(caller, kind, refused)], caller.at)
    throw new BrokerError(refused.reason, refused.detail)
  }
}
