import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'

import { Injectable } from '@nestjs/common'

import { Config } from '../config.js'
import { BrokerError } from '../domain/errors.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { grantedResources } from '../domain/ledger/grants.js'
import type { LedgerEvent, MintKind } from '../domain/ledger/events.js'
import { LedgerError, type LedgerErrorCode } from '../domain/ledger-error.js'
import { MintLimits } from '../domain/mint-limits.js'
import {
  type Caller,
  type CredsGrant,
  type Decision,
  type HeldGrant,
  type JwtGrant,
  mintBegun,
  mintRefused,
  type Refusal,
  subjectOf,
  unlessCutOff,
} from '../domain/mint.js'
import type { PolicyDecision } from '../domain/policy-decision.js'
import { askOf, policyDecided, policyRefusal } from '../domain/policy-request.js'
import { Ledger } from '../ledger/ledger.js'
import type { AppendCondition } from '../ledger/callers.js'
import { Policies } from '../policy/policies.js'
import { MintApprovals } from './mint-approvals.js'
import { type Session, SessionBackend } from '../session/session-backend.js'

type Granted = Pick<JwtGrant, 'roleArn' | 'policy' | 'approvalId'> & {
  /** Of a JWT. */
  audience?: string
}

/** A caller whose session can be looked at again. */
export interface Identified extends Caller {
  bearer: string
  session: Session
  /** Of the session backend, as of when the session was validated. */
  mark: number
}

/**
 * How often a mint is tried because sessions, its own or others, changed in between. The last try relies on the answer
 * that it was given just before: a caller that ends sessions all the time must not keep others from minting.
 */
const TRIES = 3

const NO_GRANT =
  'this broker mints for those who hold a grant, and this wallet has none for what it asks: ask the operator'

/** Who is calling, and may they: the part every mint begins with. */
@Injectable()
export class MintAuthorizer {
  constructor(
    private readonly sessions: SessionBackend,
    private readonly ledger: Ledger,
    private readonly limits: MintLimits,
    private readonly config: Config,
    private readonly policies: Policies,
    private readonly approvals: MintApprovals,
  ) {}

  /**
   * Rejects with SessionError, with BrokerError for a caller that came too often, or with LedgerError while the clock is
   * implausible. Such requests are no entries of their own: http/error.filter.ts counts them.
   */
  async identify(bearer: string): Promise<Identified> {
    // An implausible clock cannot say whether a session has expired.
    this.ledger.clock()
    const { session, mark } = await this.sessions.validated(bearer)
    const { wallet, backend, agent, child } = session
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
      bearer,
      session,
      mark,
    }
  }

  /**
   * The grant, or a refusal that is durable before the caller hears of it. The operator's policy is asked last and once:
   * it may refuse what the configured lists and the session's scope allow, and never the other way round.
   */
  async requireGrant<Grant extends JwtGrant | CredsGrant>(
    caller: Caller,
    kind: MintKind,
    decided: Decision<Grant>,
  ): Promise<Grant> {
    const decision = unlessCutOff(decided, caller, this.ledger.cutOffs)
    if ('refused' in decision) return this.refuse(caller, kind, decision.refused)
    const { granted } = decision
    const grants = this.heldGrant(caller, kind, granted) ? 1 : 0
    const ask = askOf(granted)
    const question = { caller, ask, at: caller.at, entitlements: { grants, approvals: 0 } }
    const { policy, approvalId, wanted } = this.approvals.decide(question)
    if (!policy) return granted
    if (wanted) return this.approvals.require(caller, ask, policy)
    const refusal = policyRefusal(policy)
    if (refusal) return this.refuse(caller, kind, refusal, policy)
    return { ...granted, policy, ...(approvalId === undefined ? {} : { approvalId }) }
  }

  /**
   * For a retry, which gets the reply of a mint that was made: its grant and its approval may be used up by then, so both
   * are taken as given. All else is decided again: a cut-off, or a policy that was changed to forbid it, is a refusal.
   */
  async requireGrantAgain<Grant extends JwtGrant | CredsGrant>(
    caller: Caller,
    kind: MintKind,
    decided: Decision<Grant>,
  ): Promise<Grant> {
    const decision = unlessCutOff(decided, caller, this.ledger.cutOffs)
    if ('refused' in decision) return this.refuse(caller, kind, decision.refused)
    const { granted } = decision
    const question = { caller, ask: askOf(granted), at: caller.at, entitlements: { grants: 1, approvals: 1 } }
    const policy = this.policies.probe(question)
    const refusal = policy && policyRefusal(policy)
    return refusal ? this.refuse(caller, kind, refusal, policy) : granted
  }

  /** The mint's first entries, durable. A cut-off that came in between is a refusal as any other. */
  async announce<Grant extends JwtGrant | CredsGrant>(
    caller: Identified,
    grant: Grant,
    kind: MintKind,
    announcement: LedgerEvent,
  ): Promise<Sealed[]> {
    try {
      const events = [
        ...mintBegun(caller),
        ...decidedBy(caller, grant.policy),
        ...approvalUsed(caller, grant),
      ]
      // A policy may have allowed it for the sake of the grant, so a use is spent there too.
      const spends =
        this.config.grantsRequired || (grant.policy && this.heldGrant(caller, kind, grant) !== undefined)
      if (!spends) return await this.record(caller, grant, [...events, announcement], caller.at)
      return await this.announceWithGrant(caller, grant, kind, { events, announcement })
    } catch (error) {
      if (codeOf(error) === 'approval-changed') {
        // Another mint used it, or it expired: what there is now decides, and the grant holds nothing of before.
        const { policy: _policy, approvalId: _approvalId, ...asked } = grant
        return this.announce(
          caller,
          await this.requireGrant(caller, kind, { granted: asked as Grant }),
          kind,
          announcement,
        )
      }
      if (!isCutOff(error)) throw error
      return this.refuse(caller, kind, { reason: 'cut-off', detail: error.message })
    }
  }

  /** The grant that the mint would use now, which a policy may ask for; undefined: there is none. */
  heldGrant(caller: Caller, kind: MintKind, { audience, roleArn }: Granted): HeldGrant | undefined {
    const { grants } = this.ledger
    const resources = grantedResources(kind, { roleArn, ...(audience === undefined ? {} : { audience }) })
    const { wallet, agent } = caller
    const grant = grants.covering({ wallet, agent, action: kind, resources }, this.ledger.clock().getTime())
    return grant && { grantId: grant.grantId, usesLeft: grants.usesLeft(grant.grantId) }
  }

  /** The use is in the append of the mint: another broker that spends the last one first leaves none for this one. */
  private async announceWithGrant(
    caller: Identified,
    grant: Granted,
    kind: MintKind,
    { events, announcement }: { events: LedgerEvent[]; announcement: LedgerEvent },
  ): Promise<Sealed[]> {
    const { mintId, wallet } = caller
    for (;;) {
      const held = this.heldGrant(caller, kind, grant)
      if (!held) return this.refuse(caller, kind, { reason: 'no-grant', detail: NO_GRANT })
      const { grantId } = held
      const use: LedgerEvent = { type: 'GrantUsed', data: { mintId, wallet, grantId } }
      try {
        return await this.record(caller, { ...grant, grantId }, [...events, use, announcement], caller.at)
      } catch (error) {
        // What was there is spent, revoked or expired; another grant may do.
        if (codeOf(error) !== 'grant-changed') throw error
      }
    }
  }

  /**
   * Entries of a mint under way, durable, unless its session has ended or something of it was cut off by the time they are
   * chained. Rejects with SessionError or LedgerError: then nothing was appended.
   */
  async record(
    caller: Identified,
    grant: Granted & { grantId?: string },
    events: readonly LedgerEvent[],
    at?: Date,
  ): Promise<Sealed[]> {
    // Looked at where it is used up, and not in the mint's later entries.
    const approvalId = events.find(({ type }) => type === 'ApprovalUsed') && grant.approvalId
    for (let attempt = 1; ; attempt += 1) {
      try {
        const isLast = attempt === TRIES
        return await this.ledger.append(
          events,
          at,
          this.stillAllowed(caller, { ...grant, approvalId }, isLast),
        )
      } catch (error) {
        if (codeOf(error) !== 'session-changed') throw error
        await this.validateAgain(caller)
      }
    }
  }

  /** Throws where the session has ended, or a cut-off came, after the last entry of the mint: nothing is handed out. */
  async assertStillAllowed(caller: Identified, grant: Granted): Promise<void> {
    if (!this.sessions.unchangedSince(caller.mark)) await this.validateAgain(caller)
    const through = this.ledger.cutOffs.covering(subjectOf(caller, grant))
    if (through) throw cutOff(`the operator has cut off this ${through}`)
  }

  private stillAllowed(
    caller: Identified,
    grant: Omit<Granted, 'approvalId'> & { grantId?: string; approvalId: string | undefined },
    isLast: boolean,
  ): AppendCondition {
    const subject = subjectOf(caller, grant)
    const { approvalId } = grant
    return ({ cutOffs, grants, approvals, at }) => {
      const through = cutOffs.covering(subject)
      if (through) return new LedgerError('cut-off', `the operator has cut off this ${through}`)
      const unusable = grant.grantId === undefined ? undefined : grants.useProblem(grant.grantId, at)
      if (unusable) return new LedgerError('grant-changed', unusable.detail)
      const used = approvalId === undefined ? undefined : approvals.useProblem(approvalId, at)
      if (used) return new LedgerError('approval-changed', used.detail)
      if (isLast || this.sessions.unchangedSince(caller.mark)) return undefined
      return new LedgerError('session-changed', 'sessions changed while the mint was under way; ask again')
    }
  }

  /** The decision was made of the session as it was: one that is another now has to ask again. */
  private async validateAgain(caller: Identified): Promise<void> {
    const { session, mark } = await this.sessions.validated(caller.bearer)
    if (!isDeepStrictEqual(session, caller.session))
      throw new LedgerError('session-changed', 'the session changed while the mint was under way; ask again')
    caller.mark = mark
  }

  private assertWithinLimits(asking: Parameters<MintLimits['reached']>[0]): void {
    const limit = this.limits.reached(asking, performance.now())
    if (!limit) return
    const { retryAfterSeconds } = limit
    const detail = `this ${limit.limit} asks for more mints a minute than the operator allows; come back in ${retryAfterSeconds} s`
    throw new BrokerError('rate-limited', detail, { retryAfterSeconds })
  }

  private async refuse(
    caller: Caller,
    kind: MintKind,
    refusal: Refusal,
    policy?: PolicyDecision,
  ): Promise<never> {
    await this.ledger.append([mintRefused(caller, kind, refusal), ...decidedBy(caller, policy)], caller.at)
    const { reason, detail } = refusal
    throw new BrokerError(reason, detail)
  }
}

export function isCutOff(error: unknown): error is LedgerError {
  return codeOf(error) === 'cut-off'
}

/** In the append of the mint: of two mints, at two brokers, one uses it. */
function approvalUsed({ mintId, wallet }: Caller, { approvalId }: Granted): LedgerEvent[] {
  return approvalId === undefined ? [] : [{ type: 'ApprovalUsed', data: { mintId, wallet, approvalId } }]
}

const decidedBy = (caller: Caller, policy: PolicyDecision | undefined): LedgerEvent[] =>
  policy ? [policyDecided(caller, policy)] : []

function codeOf(error: unknown): LedgerErrorCode | undefined {
  return error instanceof LedgerError ? error.code : undefined
}

export function cutOff(detail: string): BrokerError {
  return new BrokerError('cut-off', detail)
}
