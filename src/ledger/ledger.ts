import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { CutOffs } from '../domain/ledger/cut-offs.js'
import type { Approvals } from '../domain/ledger/approvals.js'
import type { Grants } from '../domain/ledger/grants.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import type { ReleaseLevel } from '../domain/release.js'
import type { AppendCondition } from './callers.js'
import type { Sequencer, SequencerStatus } from './sequencer.js'
import { deadline } from '../deadline.js'
import { LedgerError } from '../domain/ledger-error.js'
import type { LogTree } from './log-tree.js'
import { MintIds } from './mint-ids.js'
import type { WitnessStatus } from '../witness/witness.js'
import type { Witnesses } from '../witness/witnesses.js'

/** An entry's place in the ledger as a reply shows it, with its proof. */
export interface LedgerReference {
  origin: string
  index: number
  leaf_hash: string
  /** A C2SP tlog-proof. */
  receipt: string
}

export interface Witnessing {
  witnesses: Witnesses
  /** How long a mint waits for the quorum. */
  timeoutMs: number
}

export interface LedgerParts {
  vkey: string
  sequencer: Sequencer
  tree: LogTree
  witnessing: Witnessing | undefined
  /** Resolves when the tree's tiles hold the first `size` entries. */
  tilesReach: (size: number) => Promise<void>
  /** Where other brokers write too: how many entries there are now. Rejects with StoreError. */
  newestSize?: () => Promise<number>
  /** Where no other broker writes: rejects with StoreError when the store cannot be read. */
  probe?: () => Promise<unknown>
  contention?: Contention
  /** Where other brokers write too: what of theirs keeps this one from appending. */
  problem?: () => string | undefined
}

/** Batches this broker tried; of them, those that another broker was faster than, and those not confirmed. */
export interface Contention {
  readonly appends: number
  readonly lost: number
  readonly failed: number
}

/** How long a readiness check waits for the ledger, and then for the read models to reach what it says. */
const READY_TIMEOUT_MS = 2_000

/** How long readers are shown a checkpoint that witnesses signed although there is a newer one that they did not. */
const WITNESSED_FIRST_MS = 30_000

/** The ledger as the rest of the broker knows it: append, and only then act; and only then, perhaps, wait for witnesses. */
export class Ledger {
  readonly vkey: string
  private readonly ids = new MintIds()
  private unwitnessedSince: number | undefined

  constructor(
    readonly origin: string,
    private readonly parts: LedgerParts,
  ) {
    this.vkey = parts.vkey
  }

  /**
   * Resolves once the entries are durable, in order and together. Rejects with LedgerError: then nothing may be done.
   * `at` is when what they say was decided, a reading of clock(). Where `condition` has an
   * objection at the moment of chaining, nothing is appended.
   */
  append(events: readonly LedgerEvent[], at?: Date, condition?: AppendCondition): Promise<Sealed[]> {
    const alarm = this.alarm
    if (alarm) return Promise.reject(new LedgerError('failed', alarm))
    return this.parts.sequencer.append(events, at, condition)
  }

  /** The receipt of an entry that was just appended, once what must be behind it is. Rejects with LedgerError. */
  async release(sealed: Sealed, level: ReleaseLevel): Promise<LedgerReference> {
    const { index } = sealed.entry
    const checkpoint =
      level === 'witnessed' ? await this.witnessed(index + 1) : this.cosigned(this.parts.tree.checkpoint)
    // The alarm may have come while the append was under way.
    const alarm = this.alarm
    if (alarm) throw new LedgerError('failed', alarm)
    const receipt = this.parts.tree.receipt(sealed, checkpoint)
    return { origin: this.origin, index, leaf_hash: sealed.leafHash, receipt }
  }

  /** The one reading for all that a mint says of time. Throws LedgerError while the system's clock is implausible. */
  clock(): Date {
    return this.parts.sequencer.clock()
  }

  /** The id of a new mint, which is also its JWT's jti. `at`: from clock(). */
  newMintId(at: Date): string {
    return this.ids.next(at)
  }

  get cutOffs(): CutOffs {
    return this.parts.sequencer.cutOffs
  }

  /** The issuer's keys, by all entries that are known to be durable. */
  get keys(): SigningKeys | undefined {
    return this.parts.sequencer.keys
  }

  get grants(): Grants {
    return this.parts.sequencer.grants
  }

  get approvals(): Approvals {
    return this.parts.sequencer.approvals
  }

  get size(): number {
    return this.parts.sequencer.size
  }

  status(): SequencerStatus {
    const alarm = this.alarm
    if (alarm) return { ok: false, reason: alarm }
    const status = this.parts.sequencer.status()
    const problem = status.ok ? this.parts.problem?.() : undefined
    return problem === undefined ? status : { ok: false, reason: problem }
  }

  /** Of each witness of the policy; none without one. */
  get witnesses(): readonly WitnessStatus[] {
    return this.parts.witnessing?.witnesses.status() ?? []
  }

  /** When the newest checkpoint was signed: after the last append, or at the start. */
  get checkpointAt(): Date {
    return this.parts.tree.signedAt
  }

  /** Undefined where no other broker writes. */
  get contention(): Contention | undefined {
    return this.parts.contention
  }

  /** What keeps this broker from reading the ledger, with all that others wrote to it; undefined: it does. */
  async replicationLag(): Promise<string | undefined> {
    const { newestSize, probe, tilesReach } = this.parts
    if (newestSize)
      return problemWithin(newestSize().then(tilesReach), 'still catching up with what others wrote')
    return probe && problemWithin(probe(), 'the store does not answer')
  }

  /** What readers are shown whose tiles reach `size` entries: with its cosignatures, and rather one that has its quorum. */
  published(size: number): SignedCheckpoint {
    const newest = this.parts.tree.checkpointUpTo(size)
    const witnessed = this.parts.witnessing?.witnesses.latestWitnessed()
    if (!witnessed || witnessed.size > size) return this.cosigned(newest)
    if (witnessed.size >= newest.size) this.unwitnessedSince = undefined
    else this.unwitnessedSince ??= performance.now()
    const waitedTooLong = performance.now() - (this.unwitnessedSince ?? Infinity) > WITNESSED_FIRST_MS
    return waitedTooLong ? this.cosigned(newest) : witnessed
  }

  close(): Promise<void> {
    return this.parts.sequencer.close()
  }

  private get alarm(): string | undefined {
    const alarm = this.parts.witnessing?.witnesses.alarm
    return (
      alarm &&
      `a witness contradicts the ledger (${alarm.kind}): nothing is minted until an operator has looked at witness-alarm.json in BROKER_DATA_DIR`
    )
  }

  private async witnessed(size: number): Promise<SignedCheckpoint> {
    const { witnessing, tilesReach } = this.parts
    if (!witnessing)
      throw new LedgerError('failed', 'witnesses are required, and BROKER_WITNESS_POLICY names none')
    const checkpoint = await witnessing.witnesses.witnessed(size, { timeoutMs: witnessing.timeoutMs })
    // The receipt may need tiles of entries that are no longer the latest. A read model that is stuck must not block others.
    const late = () => new LedgerError('unavailable', 'the read models are behind: nothing is handed out')
    await deadline(witnessing.timeoutMs, tilesReach(checkpoint.size), late)
    return checkpoint
  }

  private cosigned(checkpoint: SignedCheckpoint): SignedCheckpoint {
    return this.parts.witnessing?.witnesses.cosigned(checkpoint) ?? checkpoint
  }
}

async function problemWithin(work: Promise<unknown>, ifLate: string): Promise<string | undefined> {
  try {
    await deadline(READY_TIMEOUT_MS, work, () => new Error(ifLate))
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
