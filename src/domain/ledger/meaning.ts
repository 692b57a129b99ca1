// What the entries say, held against what a broker may do: record, act, record.

import type { AnyEvent, EventOf, EventType, LedgerEvent } from './events.js'
import { finding, type Finding, type MeaningProblem } from './findings.js'
import { Recent, type RecentIds, type RecentState } from './recent.js'
import { isEventType, shapeProblem } from './shapes.js'

export interface Counts {
  /** Entries of each type. */
  byType: Partial<Record<EventType, number>>
  /** Entries of no type that this verifier knows. */
  unknownType: number
  /** Times STS was about to be asked and no outcome is recorded: the broker stopped in between, or is still at it. */
  unanswered: number
}

/** How many mints are remembered at least: to know an id again, and to match an outcome with its request. */
const REMEMBERED_IDS = 125_000
const REMEMBERED_UNFINISHED = 25_000

const MAX_KEYS = 10_000

const JWT_TTL_SECONDS = { least: 60, most: 3_600 }

/** A mint between its session and its end. */
interface Mint {
  wallet: string
  /** Set once STS is about to be asked. */
  roleArn?: string
}

type KeyState = 'published' | 'active' | 'superseded' | 'retired' | 'revoked'

/** All that is known after some entry, as JSON can hold it. */
export interface MeaningState {
  opened: Opened | undefined
  counts: Counts
  keys: [string, KeyState][]
  activeKid: string | undefined
  mintIds: RecentIds
  unfinished: RecentState<Mint>
}

/** What entry 0 says of the ledger. */
export type Opened = Pick<EventOf<'LedgerOpened'>['data'], 'origin' | 'vkey'>

/** Reads entries in order. Memory is bounded: see REMEMBERED_IDS for what that costs. */
export class Meaning {
  /** Of an entry 0 that is LedgerOpened. */
  opened: Opened | undefined
  counts: Counts = { byType: {}, unknownType: 0, unanswered: 0 }
  private index = 0
  private keys = new Map<string, KeyState>()
  private activeKid: string | undefined
  private readonly mintIds = new Recent<true>(REMEMBERED_IDS)
  /** Mints that ended are taken out, so that only those that never ended push one another out. */
  private readonly unfinished = new Recent<Mint>(REMEMBERED_UNFINISHED)

  /** `state` is what was known when the reading stopped: the next entry is the one after it. */
  constructor(
    private readonly report: (finding: Finding) => void,
    state?: MeaningState,
  ) {
    if (!state) return
    this.opened = state.opened
    this.counts = structuredClone(state.counts)
    this.keys = new Map(state.keys)
    this.activeKid = state.activeKid
    this.mintIds.restoreIds(state.mintIds, true)
    this.unfinished.restore(state.unfinished)
  }

  state(): MeaningState {
    return {
      opened: this.opened,
      counts: structuredClone(this.counts),
      keys: [...this.keys],
      activeKid: this.activeKid,
      mintIds: this.mintIds.ids(),
      unfinished: structuredClone(this.unfinished.state()),
    }
  }

  take({ index, type, data }: AnyEvent & { index: number }): void {
    this.index = index
    if (index === 0 && type !== 'LedgerOpened') this.found('not-opened', 'entry 0 must be LedgerOpened')
    if (!isEventType(type)) {
      this.counts.unknownType += 1
      return this.found('unknown-type', 'no event of this type is known')
    }
    this.counts.byType[type] = (this.counts.byType[type] ?? 0) + 1
    const problem = shapeProblem(type, data)
    if (problem) return this.found('wrong-shape', `${type}: ${problem}`)
    this.follow({ type, data } as unknown as LedgerEvent)
  }

  private follow(event: LedgerEvent): void {
    switch (event.type) {
      case 'LedgerOpened':
        return this.ledgerOpened(event.data)
      case 'BrokerStarted':
        return
      case 'SigningKeyPublished':
        return this.keyPublished(event.data)
      case 'SigningKeyActivated':
        return this.keyActivated(event.data.kid)
      case 'SigningKeyRetired':
        return this.keyEnded(event.data.kid, 'retired')
      case 'SigningKeyRevoked':
        return this.keyEnded(event.data.kid, 'revoked')
      case 'SessionValidated':
        if (this.begun(event.data.mintId))
          this.unfinished.set(event.data.mintId, { wallet: event.data.wallet })
        return
      case 'MintRefused':
        this.begun(event.data.mintId)
        return
      case 'JwtIssued':
        return this.jwtIssued(event.data)
      case 'CredsRequested':
        return this.asked(this.session(event.data), event.data)
      case 'CredsMinted':
      case 'CredsMintFailed':
        return this.answered(event.data)
      case 'RefusalsCounted':
        return this.refusalsCounted(event.data)
    }
  }

  private ledgerOpened({ origin, vkey }: EventOf<'LedgerOpened'>['data']): void {
    if (this.index === 0) this.opened = { origin, vkey }
    else this.found('opened-again', 'only entry 0 may be LedgerOpened')
    if (!vkey.startsWith(`${origin}+`))
      this.found('wrong-shape', 'LedgerOpened: vkey must bear the name of the origin')
  }

  private keyPublished({ kid, jwk }: EventOf<'SigningKeyPublished'>['data']): void {
    if (jwk.kid !== kid) this.found('wrong-shape', 'SigningKeyPublished: jwk.kid must be kid')
    if (this.keys.has(kid)) return this.found('key-out-of-turn', 'the kid is published a second time')
    if (this.keys.size >= MAX_KEYS)
      return this.found('too-many-keys', `more than ${MAX_KEYS} keys are published`)
    this.keys.set(kid, 'published')
  }

  private keyActivated(kid: string): void {
    const state = this.keyState(kid)
    if (state === undefined) return
    if (state === 'retired' || state === 'revoked') {
      return this.found('key-out-of-turn', `a key is activated that is ${state}`)
    }
    if (this.activeKid !== undefined) this.keys.set(this.activeKid, 'superseded')
    this.keys.set(kid, 'active')
    this.activeKid = kid
  }

  private keyEnded(kid: string, end: 'retired' | 'revoked'): void {
    const state = this.keyState(kid)
    if (state === undefined) return
    // A retired key may turn out to be stolen, and be revoked.
    if (state === 'revoked' || state === end) {
      return this.found('key-out-of-turn', `a key is ${end} that is ${state} already`)
    }
    this.keys.set(kid, end)
    if (this.activeKid === kid) this.activeKid = undefined
  }

  private keyState(kid: string): KeyState | undefined {
    const state = this.keys.get(kid)
    if (state === undefined) this.found('key-unpublished', 'no entry before this one publishes the kid')
    return state
  }

  /** Whether the mint is new, as it must be: its id is the `jti` by which a JWT is found again. */
  private begun(mintId: string): boolean {
    if (this.mintIds.has(mintId)) {
      this.found('mint-id-repeated', `mint ${mintId} has begun before`)
      return false
    }
    // A UUIDv7 grows with time, and brokers draw it with a clock that is never behind the ledger. So an id greater
    // than all that were forgotten cannot be one of them; of any other nobody can tell.
    if (mintId <= this.mintIds.forgotten) {
      this.found('mint-id-out-of-order', `mint ${mintId} is not later than mints no longer remembered`)
    }
    this.mintIds.set(mintId, true)
    return true
  }

  private jwtIssued(data: EventOf<'JwtIssued'>['data']): void {
    const { mintId, wallet, kid, purpose, sub, iat, exp, roleArn } = data
    const mint = this.session(data)
    if (sub !== `agentkeys:agent:${wallet}`)
      this.found('wrong-subject', 'sub must be agentkeys:agent:<wallet>')
    const ttl = exp - iat
    if (ttl < JWT_TTL_SECONDS.least || ttl > JWT_TTL_SECONDS.most) {
      this.found(
        'ttl-out-of-bounds',
        `the JWT is valid for ${ttl} s, not ${JWT_TTL_SECONDS.least} to ${JWT_TTL_SECONDS.most}`,
      )
    }
    const state = kid === this.activeKid ? 'active' : this.keyState(kid)
    if (state !== undefined && state !== 'active') this.found('key-not-active', `the key is ${state}`)

    if (purpose === 'oidc_jwt') return this.unfinished.delete(mintId)
    if (roleArn === undefined)
      this.found('wrong-shape', 'JwtIssued: roleArn is missing: purpose sts must name the role')
    this.asked(mint, { roleArn: roleArn ?? '' })
  }

  /** The mint that a credential is announced for: begun, and not announced yet. */
  private session({ mintId, wallet }: { mintId: string; wallet: string }): Mint | undefined {
    const mint = this.unfinished.get(mintId)
    if (!mint) {
      if (this.mintIds.has(mintId)) this.found('mint-out-of-turn', `mint ${mintId} has ended before`)
      else this.found('no-session', `no SessionValidated of mint ${mintId} is before this entry`)
      return undefined
    }
    if (mint.wallet !== wallet) this.found('wrong-wallet', 'the session was validated for another wallet')
    if (mint.roleArn === undefined) return mint
    this.found('mint-out-of-turn', `mint ${mintId} has asked STS before`)
    return undefined
  }

  private asked(mint: Mint | undefined, { roleArn }: { roleArn: string }): void {
    if (!mint) return
    mint.roleArn = roleArn
    this.counts.unanswered += 1
  }

  private answered({ mintId, wallet, roleArn }: { mintId: string; wallet: string; roleArn: string }): void {
    const mint = this.unfinished.get(mintId)
    if (mint?.roleArn === undefined) {
      if (!mint && this.mintIds.has(mintId)) this.found('mint-out-of-turn', `mint ${mintId} has ended before`)
      else
        this.found(
          'no-request',
          `no JwtIssued for STS and no CredsRequested of mint ${mintId} is before this entry`,
        )
      return
    }
    if (mint.wallet !== wallet) this.found('wrong-wallet', 'the session was validated for another wallet')
    if (mint.roleArn !== roleArn) this.found('wrong-role', 'another role was announced')
    this.unfinished.delete(mintId)
    this.counts.unanswered -= 1
  }

  private refusalsCounted({ since, until }: EventOf<'RefusalsCounted'>['data']): void {
    if (Date.parse(since) > Date.parse(until)) this.found('span-backwards', 'since is later than until')
  }

  private found(kind: MeaningProblem, detail: string): void {
    this.report(finding(this.index, kind, detail))
  }
}
