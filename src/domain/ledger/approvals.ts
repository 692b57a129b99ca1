// Approvals: mints that wait for a decision, and decisions that wait for their mint. The decision, the appender and the
// verifier ask the same set, as it is after some entry.

import { sha256Hex } from '#sha256'

import type { ApprovalAsk } from './approval-events.js'
import { canonicalize } from './canonical.js'
import type { Problem } from './credential-rules.js'
import type { Entry } from './entry.js'
import { schemaProblem } from './event-schemas.js'
import type { EventOf } from './events.js'

export type ApprovalRequested = EventOf<'ApprovalRequested'>['data']
export type ApprovalDecided = EventOf<'ApprovalGranted' | 'ApprovalDenied'>['data']

/** An approval as it is after some entry. */
export interface Approval extends ApprovalRequested {
  readonly state: 'open' | 'granted' | 'denied' | 'used'
  /** Until when the state matters: a denial, until the request would have expired. */
  readonly until: string
}

/** So many are remembered: those that have ended go first. */
export const MOST_APPROVALS = 10_000
/** Undecided, for one wallet and all sessions below it: those who decide are not flooded, and no wallet takes another's room. */
export const MOST_OPEN_OF_WALLET = 8
/** How long a request, and then an approval, may be good for. */
export const MOST_APPROVAL_SECONDS = 86_400

export class Approvals {
  private readonly approvals = new Map<string, Approval>()
  private readonly idsOfPayer = new Map<string, Set<string>>()

  constructor(
    known: Iterable<Approval> = [],
    /** What is not here is looked up there; changes stay here. */
    private readonly below?: Approvals,
  ) {
    for (const approval of known) this.put(approval)
  }

  /** A copy that costs nothing: for what is chained and not durable yet. */
  draft(): Approvals {
    return new Approvals([], this)
  }

  get(approvalId: string): Approval | undefined {
    return this.approvals.get(approvalId) ?? this.below?.get(approvalId)
  }

  all(): Approval[] {
    return [...this.approvals.values()]
  }

  /** What there is for this very ask at `at`: an approval that can be used, or else a request, or else a denial. */
  standing(ask: ApprovalAsk, parents: Family['parents'], at: number): Approval | undefined {
    const askSha256 = hashOfAsk(ask)
    const own = this.ofPayer(payerOf({ wallet: ask.wallet, parents })).filter(
      (approval) => approval.askSha256 === askSha256 && Date.parse(approval.until) > at,
    )
    const inState = (state: Approval['state']) => own.find((approval) => approval.state === state)
    return inState('granted') ?? inState('open') ?? inState('denied')
  }

  /** Why no broker requests it. */
  requestProblem(data: ApprovalRequested, at: number): Problem | undefined {
    if (this.get(data.approvalId)) return outOfTurn('an approval of this id was requested before')
    if (data.askSha256 !== hashOfAsk(approvalAsk(data)))
      return outOfTurn('askSha256 is not that of what is asked')
    const expires = Date.parse(data.expiresAt)
    if (expires <= at || expires > at + MOST_APPROVAL_SECONDS * 1000)
      return outOfTurn('expiresAt is not within a day after this entry')
    return this.isFull(data, at) ? outOfTurn('too many requests are open') : undefined
  }

  /** Whether no broker takes one more request of these sessions at `at`. */
  isFull(session: Family, at: number): boolean {
    const standing = ({ state, until }: Approval) => state !== 'used' && Date.parse(until) > at
    const own = this.ofPayer(payerOf(session)).filter((one) => one.state === 'open' && standing(one))
    if (own.length >= MOST_OPEN_OF_WALLET) return true
    return this.size >= MOST_APPROVALS && this.all().filter(standing).length >= MOST_APPROVALS
  }

  /** Why no broker takes this decision: each request is decided once, in time, and by none of those it is for. */
  decisionProblem(data: ApprovalDecided, at: number): Problem | undefined {
    const approval = this.get(data.approvalId)
    if (!approval || approval.state !== 'open' || Date.parse(approval.until) <= at)
      return outOfTurn('no such request is open')
    if (approval.askSha256 !== data.askSha256) return outOfTurn('another ask was decided')
    if (data.by !== 'operator' && data.signature === undefined)
      return outOfTurn('a wallet signs its decision')
    if ([approval, ...approval.parents].some(({ wallet }) => wallet === data.by))
      return outOfTurn('it was decided by a wallet that it is for')
    if (!('expiresAt' in data)) return undefined
    const expires = Date.parse(data.expiresAt)
    return expires <= at || expires > at + MOST_APPROVAL_SECONDS * 1000
      ? outOfTurn('expiresAt is not within a day after this entry')
      : undefined
  }

  /** Why the approval cannot be used at `at`. */
  useProblem(approvalId: string, at: number): Problem | undefined {
    const approval = this.get(approvalId)
    if (approval?.state === 'granted' && Date.parse(approval.until) > at) return undefined
    return {
      kind: 'approval-unusable',
      detail: 'there is no such approval, or it was used, denied or has expired',
    }
  }

  /** The entry is in the ledger. False: there is no room for it. What cannot be is left out. */
  take({ type, data, time }: Pick<Entry, 'type' | 'data' | 'time'>): boolean {
    if (!isOfApprovals(type) || schemaProblem(type, data)) return true
    const event = { type, data } as unknown as ApprovalEvent
    const at = Date.parse(time)
    switch (event.type) {
      case 'ApprovalRequested':
        return this.request(event.data, at)
      case 'ApprovalGranted':
        if (!this.decisionProblem(event.data, at))
          this.change(event.data.approvalId, { state: 'granted', until: event.data.expiresAt })
        return true
      case 'ApprovalDenied':
        if (!this.decisionProblem(event.data, at)) this.change(event.data.approvalId, { state: 'denied' })
        return true
      case 'ApprovalUsed':
        if (!this.useProblem(event.data.approvalId, at)) this.change(event.data.approvalId, { state: 'used' })
        return true
    }
  }

  private request(data: ApprovalRequested, at: number): boolean {
    if (this.requestProblem(data, at)) return true
    if (this.size >= MOST_APPROVALS) this.dropEnded(at)
    if (this.size >= MOST_APPROVALS) return false
    this.put({ ...data, state: 'open', until: data.expiresAt })
    return true
  }

  private get size(): number {
    return this.approvals.size + (this.below?.size ?? 0)
  }

  private ofPayer(payer: string): Approval[] {
    const below = this.below?.ofPayer(payer) ?? []
    const ids = new Set([...below.map(({ approvalId }) => approvalId), ...(this.idsOfPayer.get(payer) ?? [])])
    return [...ids].map((id) => this.get(id)).filter((approval) => approval !== undefined)
  }

  private change(approvalId: string, change: Pick<Approval, 'state'> & Partial<Approval>): void {
    const approval = this.get(approvalId)
    if (approval) this.put({ ...approval, ...change })
  }

  private put(approval: Approval): void {
    this.approvals.set(approval.approvalId, approval)
    const payer = payerOf(approval)
    const ids = this.idsOfPayer.get(payer) ?? new Set()
    this.idsOfPayer.set(payer, ids.add(approval.approvalId))
  }

  private dropEnded(at: number): void {
    for (const approval of this.approvals.values()) {
      if (approval.state !== 'used' && Date.parse(approval.until) > at) continue
      this.approvals.delete(approval.approvalId)
      const payer = payerOf(approval)
      const ids = this.idsOfPayer.get(payer)
      ids?.delete(approval.approvalId)
      if (ids?.size === 0) this.idsOfPayer.delete(payer)
    }
  }
}

/** The RFC 8785 form of the ask: what is hashed, and shown to who decides. */
export function textOfAsk(ask: ApprovalAsk): string {
  return canonicalize({ ...approvalAsk(ask) })
}

export function hashOfAsk(ask: ApprovalAsk): string {
  return sha256Hex(new TextEncoder().encode(textOfAsk(ask)))
}

/** Of a value that may have more members. */
export function approvalAsk({
  kind,
  wallet,
  agent,
  audience,
  roleArn,
  lifetimeSeconds,
}: ApprovalAsk): ApprovalAsk {
  return {
    ...{ kind, wallet, audience, lifetimeSeconds },
    ...(agent === undefined ? {} : { agent }),
    ...(roleArn === undefined ? {} : { roleArn }),
  }
}

/** Why a mint is not what was approved. A lifetime that an entry does not say is compared where one does. */
export function outsideApproval(
  approved: ApprovalAsk,
  minted: { readonly [M in keyof ApprovalAsk]-?: ApprovalAsk[M] | undefined },
): Problem | undefined {
  const same =
    approved.kind === minted.kind &&
    approved.wallet === minted.wallet &&
    approved.agent === minted.agent &&
    approved.audience === minted.audience &&
    approved.roleArn === minted.roleArn &&
    (minted.lifetimeSeconds === undefined || approved.lifetimeSeconds === minted.lifetimeSeconds)
  return same ? undefined : { kind: 'outside-approval', detail: 'the mint is not what was approved' }
}

/** A session's wallet, and those of the sessions above it, nearest first. */
type Family = { readonly wallet: string; readonly parents: readonly { readonly wallet: string }[] }

/** Children have wallets of their own, as many as their parent likes: they take the room of the first of the family. */
function payerOf({ wallet, parents }: Family): string {
  return parents.at(-1)?.wallet ?? wallet
}

function outOfTurn(detail: string): Problem {
  return { kind: 'approval-out-of-turn', detail }
}

type ApprovalEvent = EventOf<'ApprovalRequested' | 'ApprovalGranted' | 'ApprovalDenied' | 'ApprovalUsed'>

function isOfApprovals(type: string): type is ApprovalEvent['type'] {
  return /^Approval(?:Requested|Granted|Denied|Used)$/.test(type)
}
