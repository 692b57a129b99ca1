import { hash } from 'node:crypto'

import { Injectable } from '@nestjs/common'

import { BrokerError } from '../domain/errors.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent, MintKind } from '../domain/ledger/events.js'
import { LedgerError } from '../domain/ledger-error.js'
import { MintLimits } from '../domain/mint-limits.js'
import {
  type Caller,
  type Decision,
  mintBegun,
  mintRefused,
  type Refusal,
  subjectOf,
  unlessCutOff,
} from '../domain/mint.js'
import { Ledger } from '../ledger/ledger.js'
import { SessionBackend } from '../session/session-backend.js'

interface Granted {
  roleArn: string | undefined
}

/** Who is calling, and may they: the part every mint begins with. */
@Injectable()
export class MintAuthorizer {
  constructor(
    private readonly sessions: SessionBackend,
    private readonly ledger: Ledger,
    private readonly limits: MintLimits,
  ) {}

  /**
   * Rejects with SessionError, with BrokerError for a caller that came too often, or with LedgerError while the clock is
   * implausible. Such requests are no entries of their own: http/error.filter.ts counts them.
   */
  async identify(bearer: string): Promise<Caller> {
    // An implausible clock cannot say whether a session has expired.
    this.ledger.clock()
    const { wallet, backend, agent, child } = await this.sessions.validate(bearer)
    // The mint's reading comes after the session's check, which may take long.
    const at = this.ledger.clock()
    const tokenSha256 = hash('sha256', bearer)
    this.assertWithinLimits({ wallet, tokenSha256, parents: child?.parents ?? [] })
    return {
      mintId: this.ledger.newMintId(at),
      at,
      wallet,
      tokenSha256,
      backend,
      agent,
      child,
    }
  }

  /** The grant, or a refusal that is durable before the caller hears of it. */
  async requireGrant<Grant extends Granted>(
    caller: Caller,
    kind: MintKind,
    decided: Decision<Grant>,
  ): Promise<Grant> {
    const decision = unlessCutOff(decided, caller, this.ledger.cutOffs)
    if ('granted' in decision) return decision.granted
    return this.refuse(caller, kind, decision.refused)
  }

  /**
   * The mint's first entries, durable. A cut-off that came in between is found where they are chained, and is a refusal as
   * any other.
   */
  async announce(
    caller: Caller,
    grant: Granted,
    kind: MintKind,
    announcement: LedgerEvent,
  ): Promise<Sealed[]> {
    try {
      const events = [...mintBegun(caller), announcement]
      return await this.ledger.append(events, caller.at, subjectOf(caller, grant))
    } catch (error) {
      if (!isCutOff(error)) throw error
      return this.refuse(caller, kind, { reason: 'cut-off', detail: error.message })
    }
  }

  /** Throws where a cut-off came after the last entry of the mint: what that entry announced is not handed out. */
  assertNotCutOff(caller: Caller, grant: Granted): void {
    const through = this.ledger.cutOffs.covering(subjectOf(caller, grant))
    if (through) throw cutOff(`the operator has cut off this ${through}`)
  }

  private assertWithinLimits(asking: Parameters<MintLimits['reached']>[0]): void {
    const limit = this.limits.reached(asking, performance.now())
    if (!limit) return
    const { retryAfterSeconds } = limit
    const detail = `this ${limit.limit} asks for more mints a minute than the operator allows; come back in ${retryAfterSeconds} s`
    throw new BrokerError('rate-limited', detail, { retryAfterSeconds })
  }

  private async refuse(caller: Caller, kind: MintKind, refusal: Refusal): Promise<never> {
    await this.ledger.append([mintRefused(caller, kind, refusal)], caller.at)
    const { reason, detail } = refusal
    throw new BrokerError(reason, detail)
  }
}

export function isCutOff(error: unknown): error is LedgerError {
  return error instanceof LedgerError && error.code === 'cut-off'
}

export function cutOff(detail: string): BrokerError {
  return new BrokerError('cut-off', detail)
}
