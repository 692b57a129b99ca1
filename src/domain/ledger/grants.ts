// Grants: which wallet may mint what, until when and how often. The decision, the appender and the verifier ask the same
// set, as it is after some entry.

import type { Entry } from './entry.js'
import type { EventOf, MintKind } from './events.js'
import { schemaProblem } from './event-schemas.js'
import type { Problem } from './credential-rules.js'

export type GrantCreated = EventOf<'GrantCreated'>['data']

/** A grant as it is after some entry. */
export interface Grant extends GrantCreated {
  readonly used: number
  readonly revoked: boolean
}

/** What a mint needs a grant for. */
export interface GrantAsk {
  readonly wallet: string
  readonly agent: string | undefined
  readonly action: MintKind
  /** All of them have to be in the grant: compared as whole strings, never as patterns. */
  readonly resources: readonly string[]
}

/** So many are remembered: those that have expired go first. */
export const MOST_GRANTS = 100_000
export const MOST_GRANTS_OF_WALLET = 100

/** How many grants may be above one that was passed on. */
export const MOST_PASSED_ON = 8

export class Grants {
  private readonly grants = new Map<string, Grant>()
  private readonly idsOfWallet = new Map<string, Set<string>>()

  constructor(
    known: Iterable<Grant> = [],
    /** What is not here is looked up there; changes stay here. */
    private readonly below?: Grants,
  ) {
    for (const grant of known) this.put(grant)
  }

  /** A copy that costs nothing: for what is chained and not durable yet. */
  draft(): Grants {
    return new Grants([], this)
  }

  get size(): number {
    return this.grants.size + (this.below?.size ?? 0)
  }

  get(grantId: string): Grant | undefined {
    return this.grants.get(grantId) ?? this.below?.get(grantId)
  }

  all(): Grant[] {
    return [...this.grants.values()]
  }

  ofWallet(wallet: string): Grant[] {
    const below = this.below?.ofWallet(wallet) ?? []
    const ids = new Set([...below.map(({ grantId }) => grantId), ...(this.idsOfWallet.get(wallet) ?? [])])
    return [...ids].map((id) => this.get(id)).filter((grant) => grant !== undefined)
  }

  /** The grant that `ask` may use at `at`, of several the one that ends first. */
  covering(ask: GrantAsk, at: number): Grant | undefined {
    const fitting = this.ofWallet(ask.wallet).filter(
      (grant) => !outsideGrant(grant, ask) && !this.useProblem(grant.grantId, at),
    )
    return fitting.sort((a, b) => Date.parse(a.expiresAt) - Date.parse(b.expiresAt))[0]
  }

  /** Uses left for the grant and all that it comes from. Undefined: no limit. */
  usesLeft(grantId: string): number | undefined {
    const limited = this.chain(grantId).flatMap(({ uses, used }) => (uses === undefined ? [] : [uses - used]))
    return limited.length === 0 ? undefined : Math.max(0, Math.min(...limited))
  }

  /** Why the grant cannot be used at `at`, in itself or for one that it comes from. */
  useProblem(grantId: string, at: number): Problem | undefined {
    const chain = this.chain(grantId)
    if (chain.length === 0 || chain.some(({ revoked }) => revoked))
      return { kind: 'grant-unknown', detail: 'there is no such grant, or it was revoked' }
    if (chain.some(({ expiresAt }) => Date.parse(expiresAt) <= at))
      return { kind: 'grant-expired', detail: 'the grant has expired before this entry' }
    if (this.usesLeft(grantId) === 0) return { kind: 'grant-used-up', detail: 'the grant has no use left' }
    return undefined
  }

  /** Why no broker creates such a grant. */
  creationProblem(data: GrantCreated, at: number): Problem | undefined {
    const problem = (detail: string): Problem => ({ kind: 'grant-out-of-turn', detail })
    if (this.get(data.grantId)) return problem('a grant of this id was created before')
    if ((data.by === 'operator') !== (data.from === undefined))
      return problem('a wallet passes on a grant of its own, and the operator none')
    if (data.from === undefined) return undefined
    const chain = this.chain(data.from)
    const [from] = chain
    if (!from || this.useProblem(data.from, at)) return problem('it comes from no grant that can be used')
    if (chain.length >= MOST_PASSED_ON) return problem('it was passed on too often')
    return isNarrower(data, from) ? undefined : problem('it is wider than the grant that it comes from')
  }

  /** Why no broker revokes it: the operator may, and the wallets it came from or belongs to. */
  revocationProblem({ grantId, by }: EventOf<'GrantRevoked'>['data']): Problem | undefined {
    const chain = this.chain(grantId)
    const problem = (detail: string): Problem => ({ kind: 'grant-out-of-turn', detail })
    if (!chain[0] || chain[0].revoked) return problem('there is no such grant, or it was revoked')
    const mayRevoke = by === 'operator' || chain.some(({ wallet }) => wallet === by)
    return mayRevoke ? undefined : problem('it is of another wallet')
  }

  /** Whether a wallet has as many grants at `at` as a broker gives it. */
  isFull(wallet: string, at: number): boolean {
    const inForce = this.ofWallet(wallet).filter(({ grantId }) => !this.useProblem(grantId, at))
    return inForce.length >= MOST_GRANTS_OF_WALLET || this.size >= MOST_GRANTS
  }

  /** The entry is in the ledger. False: there is no room for it. What cannot be is left out. */
  take({ type, data, time }: Pick<Entry, 'type' | 'data' | 'time'>): boolean {
    if (!isOfGrants(type) || schemaProblem(type, data)) return true
    const event = { type, data } as unknown as GrantEvent
    switch (event.type) {
      case 'GrantCreated':
        return this.create(event.data, Date.parse(time))
      case 'GrantRevoked':
        this.change(event.data.grantId, () => ({ revoked: true }))
        return true
      case 'GrantUsed':
        for (const { grantId } of this.chain(event.data.grantId))
          this.change(grantId, ({ used }) => ({ used: used + 1 }))
        return true
    }
  }

  private create(data: GrantCreated, at: number): boolean {
    if (this.creationProblem(data, at)) return true
    if (this.size >= MOST_GRANTS) this.dropExpired(at)
    if (this.size >= MOST_GRANTS) return false
    this.put({ ...data, used: 0, revoked: false })
    return true
  }

  /** The grant, then what it comes from; empty where one of them is not known. */
  private chain(grantId: string): Grant[] {
    const chain: Grant[] = []
    for (let id: string | undefined = grantId; id !== undefined && chain.length <= MOST_PASSED_ON;) {
      const grant: Grant | undefined = this.get(id)
      if (!grant) return []
      chain.push(grant)
      id = grant.from
    }
    return chain
  }

  private change(grantId: string, change: (grant: Grant) => Partial<Grant>): void {
    const grant = this.get(grantId)
    if (grant) this.put({ ...grant, ...change(grant) })
  }

  private put(grant: Grant): void {
    this.grants.set(grant.grantId, grant)
    const ids = this.idsOfWallet.get(grant.wallet) ?? new Set()
    this.idsOfWallet.set(grant.wallet, ids.add(grant.grantId))
  }

  private dropExpired(at: number): void {
    for (const { grantId, wallet, expiresAt } of this.grants.values()) {
      if (Date.parse(expiresAt) > at) continue
      this.grants.delete(grantId)
      const ids = this.idsOfWallet.get(wallet)
      ids?.delete(grantId)
      if (ids?.size === 0) this.idsOfWallet.delete(wallet)
    }
  }
}

/** Why a mint is not what the grant is for. */
export function outsideGrant(grant: GrantCreated, ask: GrantAsk): Problem | undefined {
  const problem = (detail: string): Problem => ({ kind: 'outside-grant', detail })
  if (grant.wallet !== ask.wallet) return problem('the grant is of another wallet')
  if (grant.agent !== undefined && grant.agent !== ask.agent) return problem('the grant is of another agent')
  if (!grant.actions.includes(ask.action)) return problem('the grant is for another kind of mint')
  if (!ask.resources.every((resource) => grant.resources.includes(resource)))
    return problem('the grant is for another role or audience')
  return undefined
}

/** What a JWT, or AWS credentials, need in the grant: a token for a role both its audience and the role. */
export function grantedResources(
  action: MintKind,
  { audience, roleArn }: { audience?: string; roleArn: string | undefined },
): string[] {
  const role = roleArn === undefined ? [] : [roleArn]
  return action === 'aws_creds' || audience === undefined ? role : [audience, ...role]
}

function isNarrower(data: GrantCreated, from: Grant): boolean {
  return (
    from.wallet === data.by &&
    data.actions.every((action) => from.actions.includes(action)) &&
    data.resources.every((resource) => from.resources.includes(resource)) &&
    Date.parse(data.expiresAt) <= Date.parse(from.expiresAt)
  )
}

type GrantEvent = EventOf<'GrantCreated' | 'GrantRevoked' | 'GrantUsed'>

function isOfGrants(type: string): type is GrantEvent['type'] {
  return type === 'GrantCreated' || type === 'GrantRevoked' || type === 'GrantUsed'
}
