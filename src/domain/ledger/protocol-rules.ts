// What the entries say, held against what a broker may do: record, act, record.

import { type Approval, Approvals } from './approvals.js'
import { spanProblems } from './credential-rules.js'
import { type CutOffEvent, CutOffs, isCutOffTarget, TARGET_FORM } from './cut-offs.js'
import type { Entry } from './entry.js'
import { type Grant, Grants } from './grants.js'
import type { CutOffTarget, EventOf, EventType, LedgerEvent } from './events.js'
import { finding, type Finding, type MeaningProblem } from './findings.js'
import { LedgerSignatures } from './ledger-signature.js'
import { Mints, type MintsState } from './mint-rules.js'
import { parseVkey } from './note.js'
import { isEventType, schemaProblem, unknownValue } from './event-schemas.js'
import { type KeyEvent, type KnownKey, SigningKeys } from './signing-keys.js'

/**
 * The version of the rules, here and in the files beside this one. A verifier that remembers entries as verified reads
 * them again when it has grown: raise it with every rule that an entry might break.
 */
export const RULES_VERSION = 8

export interface Counts {
  /** Entries of each type. */
  byType: Partial<Record<EventType, number>>
  /** Entries of no type that this verifier knows. */
  unknownType: number
  /** Times STS was about to be asked and no outcome is recorded: the broker stopped in between, or is still at it. */
  unanswered: number
}

/** All that is known after some entry, as JSON can hold it. */
export interface ProtocolState {
  opened: Opened | undefined
  counts: Counts
  keys: KnownKey[]
  mints: MintsState
  cutOffs: CutOffTarget[]
  grants: Grant[]
  approvals: Approval[]
}

/** The events of one mint, each with its `mintId`. */
type MintEvent = Extract<LedgerEvent, { data: { mintId: string } }>

/** What entry 0 says of the ledger. */
export type Opened = Pick<EventOf<'LedgerOpened'>['data'], 'origin' | 'vkey'>

/** Reads entries in order. Memory is bounded: see mint-rules.ts for what that costs. */
export class ProtocolChecker {
  /** Of an entry 0 that is LedgerOpened. */
  opened: Opened | undefined
  readonly counts: Counts = { byType: {}, unknownType: 0, unanswered: 0 }
  private index = 0
  private keys = new SigningKeys(undefined)
  private readonly mints: Mints
  private lastTime = ''

  /** `state` is what was known when the reading stopped: the next entry is the one after it. */
  constructor(
    private readonly report: (finding: Finding) => void,
    state?: ProtocolState,
  ) {
    if (state) this.counts = structuredClone(state.counts)
    this.mints = new Mints((kind, detail) => this.found(kind, detail), this.counts, state?.mints)
    if (!state) return
    this.mints.cutOffs = new CutOffs(state.cutOffs)
    this.mints.grants = new Grants(state.grants)
    this.mints.approvals = new Approvals(state.approvals)
    this.opened = state.opened
    this.keys = new SigningKeys(signaturesOf(state.opened), state.keys)
  }

  state(): ProtocolState {
    return {
      opened: this.opened,
      counts: structuredClone(this.counts),
      keys: this.keys.all(),
      mints: this.mints.state(),
      cutOffs: this.mints.cutOffs.all(),
      grants: this.mints.grants.all(),
      approvals: this.mints.approvals.all(),
    }
  }

  take({ index, time, type, data }: Pick<Entry, 'index' | 'time' | 'type' | 'data'>): void {
    this.index = index
    if (time !== this.lastTime) this.mints.at = Date.parse(time)
    this.lastTime = time
    if (index === 0 && type !== 'LedgerOpened') this.found('not-opened', 'entry 0 must be LedgerOpened')
    if (!isEventType(type)) {
      this.mints.justRefused = undefined
      this.counts.unknownType += 1
      return this.found('unknown-type', 'this verifier knows no event of this type')
    }
    if (type !== 'PolicyDecided' && type !== 'ApprovalRequested') this.mints.justRefused = undefined
    this.counts.byType[type] = (this.counts.byType[type] ?? 0) + 1
    const problem = schemaProblem(type, data)
    if (problem) return this.found('wrong-shape', `${type}: ${problem}`)
    const unknown = unknownValue(type, data)
    if (unknown)
      this.found('unknown-value', `${type}: ${unknown} has a value that this verifier does not know`)
    this.follow({ type, data } as unknown as LedgerEvent)
    if (!this.mints.grants.take({ type, data, time }))
      this.found('too-many-grants', 'more grants are there than are remembered')
    if (!this.mints.approvals.take({ type, data, time }))
      this.found('too-many-approvals', 'more approvals are there than are remembered')
  }

  /** After the last entry: of which keys the ledger key has not signed all that was said, not even later on. */
  end(): void {
    for (const { unsignedAt } of this.keys.all()) {
      if (unsignedAt === undefined) continue
      this.report(
        finding(unsignedAt, 'key-not-signed', 'the ledger key has not signed this change of the key'),
      )
    }
  }

  private follow(event: LedgerEvent): void {
    switch (event.type) {
      case 'LedgerOpened':
        return this.ledgerOpened(event.data)
      case 'BrokerStarted':
        return
      case 'LedgerAdopted':
        if (event.data.from >= this.index)
          this.found('wrong-shape', 'LedgerAdopted: from must be an entry before it')
        return this.keyEvent(event)
      case 'SigningKeyPublished':
      case 'SigningKeyActivated':
      case 'SigningKeyRetired':
      case 'SigningKeyRevoked':
        return this.keyEvent(event)
      case 'AccessCutOff':
      case 'AccessRestored':
        return this.cutOff(event)
      case 'GrantCreated':
        return this.foundIf(this.mints.grants.creationProblem(event.data, this.mints.at))
      case 'GrantRevoked':
        return this.foundIf(this.mints.grants.revocationProblem(event.data))
      case 'ApprovalGranted':
      case 'ApprovalDenied':
        return this.foundIf(this.mints.approvals.decisionProblem(event.data, this.mints.at))
      case 'PolicyLoaded':
        if (!this.mints.policies.loaded(event.data.sha256))
          this.found('too-many-policies', 'more policies were loaded than are remembered')
        return
      case 'RefusalsCounted':
        for (const { kind, detail } of spanProblems(event.data, this.mints.at)) this.found(kind, detail)
        return
      default:
        return this.followMint(event)
    }
  }

  private followMint(event: MintEvent): void {
    switch (event.type) {
      case 'SessionValidated':
        return this.mints.sessionValidated(event.data)
      case 'SessionScoped':
        return this.mints.sessionScoped(event.data)
      case 'GrantUsed':
        return this.mints.grantUsed(event.data)
      case 'ApprovalRequested':
        return this.mints.approvalRequested(event.data)
      case 'ApprovalUsed':
        return this.mints.approvalUsed(event.data)
      case 'PolicyDecided':
        return this.mints.policyDecided(event.data)
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
    }
  }

  private ledgerOpened({ origin, vkey }: EventOf<'LedgerOpened'>['data']): void {
    if (this.index === 0) {
      this.opened = { origin, vkey }
      this.keys = new SigningKeys(signaturesOf(this.opened))
    } else this.found('opened-again', 'only entry 0 may be LedgerOpened')
    if (!vkey.startsWith(`${origin}+`))
      this.found('wrong-shape', 'LedgerOpened: vkey must bear the name of the origin')
  }

  private keyEvent(event: KeyEvent): void {
    const problem = this.keys.problem(event)
    if (problem) this.found(problem.kind, problem.detail)
    this.keys.take(event, this.index)
  }

  private cutOff(event: CutOffEvent): void {
    const { kind } = event.data
    if (Object.hasOwn(TARGET_FORM, kind) && !isCutOffTarget(event.data))
      this.found('wrong-shape', `${event.type}: target must be ${TARGET_FORM[kind]}`)
    if (!this.mints.cutOffs.take(event)) this.found('too-many-cut-offs', 'more is cut off than is remembered')
  }

  private foundIf(problem: { kind: MeaningProblem; detail: string } | undefined): void {
    if (problem) this.found(problem.kind, problem.detail)
  }

  private jwtIssued(data: EventOf<'JwtIssued'>['data']): void {
    const state = this.keys.get(data.kid)?.state
    if (state === undefined) this.found('key-unpublished', 'no entry before this one publishes the kid')
    else if (state !== 'active') this.found('key-not-active', `the key is ${state}`)
    this.mints.jwtIssued(data)
  }

  private found(kind: MeaningProblem, detail: string): void {
    this.report(finding(this.index, kind, detail))
  }
}

/** Undefined where entry 0 names no key: then there is nothing to hold signatures against. */
function signaturesOf(opened: Opened | undefined): LedgerSignatures | undefined {
  return opened && new LedgerSignatures(parseVkey(opened.vkey))
}
