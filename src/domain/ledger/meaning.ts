// What the entries say, held against what a broker may do: record, act, record.

import { spanProblems } from './credential-rules.js'
import type { Entry } from './entry.js'
import type { EventOf, EventType, LedgerEvent } from './events.js'
import { finding, type Finding, type MeaningProblem } from './findings.js'
import { Mints, type MintsState } from './mint-rules.js'
import { isEventType, shapeProblem, unknownValue } from './shapes.js'

/**
 * The version of the rules, here and in the files beside this one. A verifier that remembers entries as verified reads
 * them again when it has grown: raise it with every rule that an entry might break.
 */
export const RULES_VERSION = 2

export interface Counts {
  /** Entries of each type. */
  byType: Partial<Record<EventType, number>>
  /** Entries of no type that this verifier knows. */
  unknownType: number
  /** Times STS was about to be asked and no outcome is recorded: the broker stopped in between, or is still at it. */
  unanswered: number
}

const MAX_KEYS = 10_000

type KeyState = 'published' | 'active' | 'superseded' | 'retired' | 'revoked'

/** All that is known after some entry, as JSON can hold it. */
export interface MeaningState {
  opened: Opened | undefined
  counts: Counts
  keys: [string, KeyState][]
  activeKid: string | undefined
  mints: MintsState
}

/** What entry 0 says of the ledger. */
export type Opened = Pick<EventOf<'LedgerOpened'>['data'], 'origin' | 'vkey'>

/** Reads entries in order. Memory is bounded: see mint-rules.ts for what that costs. */
export class Meaning {
  /** Of an entry 0 that is LedgerOpened. */
  opened: Opened | undefined
  readonly counts: Counts = { byType: {}, unknownType: 0, unanswered: 0 }
  private index = 0
  private keys = new Map<string, KeyState>()
  private activeKid: string | undefined
  private readonly mints: Mints
  private lastTime = ''

  /** `state` is what was known when the reading stopped: the next entry is the one after it. */
  constructor(
    private readonly report: (finding: Finding) => void,
    state?: MeaningState,
  ) {
    if (state) this.counts = structuredClone(state.counts)
    this.mints = new Mints((kind, detail) => this.found(kind, detail), this.counts, state?.mints)
    if (!state) return
    this.opened = state.opened
    this.keys = new Map(state.keys)
    this.activeKid = state.activeKid
  }

  state(): MeaningState {
    return {
      opened: this.opened,
      counts: structuredClone(this.counts),
      keys: [...this.keys],
      activeKid: this.activeKid,
      mints: this.mints.state(),
    }
  }

  take({ index, time, type, data }: Pick<Entry, 'index' | 'time' | 'type' | 'data'>): void {
    this.index = index
    if (time !== this.lastTime) this.mints.at = Date.parse(time)
    this.lastTime = time
    if (index === 0 && type !== 'LedgerOpened') this.found('not-opened', 'entry 0 must be LedgerOpened')
    if (!isEventType(type)) {
      this.counts.unknownType += 1
      return this.found('unknown-type', 'this verifier knows no event of this type')
    }
    this.counts.byType[type] = (this.counts.byType[type] ?? 0) + 1
    const problem = shapeProblem(type, data)
    if (problem) return this.found('wrong-shape', `${type}: ${problem}`)
    const unknown = unknownValue(type, data)
    if (unknown)
      this.found('unknown-value', `${type}: ${unknown} has a value that this verifier does not know`)
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
        return this.mints.sessionValidated(event.data)
      case 'MintRefused':
        return this.mints.refused(event.data)
      case 'JwtIssued':
        return this.jwtIssued(event.data)
      case 'CredsRequested':
        return this.mints.credsRequested(event.data)
      case 'CredsMinted':
        return this.mints.credsMinted(event.data)
      case 'CredsMintFailed':
        this.mints.answered(event.data)
        return
      case 'RefusalsCounted':
        for (const { kind, detail } of spanProblems(event.data, this.mints.at)) this.found(kind, detail)
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

  private jwtIssued(data: EventOf<'JwtIssued'>['data']): void {
    const state = data.kid === this.activeKid ? 'active' : this.keyState(data.kid)
    if (state !== undefined && state !== 'active') this.found('key-not-active', `the key is ${state}`)
    this.mints.jwtIssued(data)
  }

  private found(kind: MeaningProblem, detail: string): void {
    this.report(finding(this.index, kind, detail))
  }
}
