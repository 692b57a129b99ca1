// All witnesses of a policy: they are shown the newest checkpoint, and releases that need their cosignatures wait here for
// the quorum. Nothing else waits for them.
//
// Cosignatures are not kept on disk. They can be had again at any time for the newest checkpoint, which covers every
// entry before it; after a restart the witnesses are asked anyway.

import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import type { Policy } from '../domain/ledger/policy.js'
import { Cosignatures } from './cosignatures.js'
import { LedgerError } from '../domain/ledger-error.js'
import {
  DEFAULT_WITNESS_LIMITS,
  type Evidence,
  type OwnLog,
  Witness,
  type WitnessLimits,
  type WitnessStatus,
} from './witness.js'
import type { AlarmFile, WitnessAlarm } from './witness-alarm.js'

export interface WitnessesOptions {
  /** Every witness has a URL: see readWitnessPolicy. */
  policy: Policy
  log: OwnLog
  /** Not there yet: an alarm of an earlier run refuses the start, whether or not there is a policy. */
  alarmFile: AlarmFile
  /** Called once, with the evidence already on disk. Minting stops here. */
  onAlarm: (alarm: WitnessAlarm) => void
  /** Called with the largest checkpoint that has its quorum, when there is one and whenever one more witness signed. */
  onWitnessed?: (checkpoint: SignedCheckpoint) => void
  /** Called when a witness gets into trouble, into another one, or out of it. For the log. */
  onStatus?: (status: WitnessStatus) => void
  limits?: WitnessLimits
}

interface Waiting {
  size: number
  resolve: (checkpoint: SignedCheckpoint) => void
  reject: (error: LedgerError) => void
}

/** More callers than that get `unavailable`. */
const MOST_WAITING = 4096

/**
 * The witnesses are led in rounds: all are asked for the same checkpoint, the target, until it has its quorum or
 * no witness is left that could answer now. If each took the newest whenever it was free, a busy ledger's witnesses would
 * cosign different sizes for ever, and none would have a quorum.
 */
export class Witnesses {
  private readonly witnesses: readonly Witness[]
  private readonly cosignatures: Cosignatures
  private newest: SignedCheckpoint | undefined
  private target: SignedCheckpoint | undefined
  private readonly waiting = new Set<Waiting>()
  private readonly turns = new Set<Promise<void>>()
  private kick: NodeJS.Immediate | undefined
  private timer: NodeJS.Timeout | undefined
  private raised: WitnessAlarm | undefined
  private closed = false

  constructor(private readonly options: WitnessesOptions) {
    const { policy, log, limits = DEFAULT_WITNESS_LIMITS } = options
    this.witnesses = policy.witnesses.map((member) => new Witness(member, log, limits))
    this.cosignatures = new Cosignatures(policy)
  }

  /** Once there is one it stays: readiness shows it. */
  get alarm(): WitnessAlarm | undefined {
    return this.raised
  }

  /** Takes note of a newer checkpoint and returns. Of those that come faster than witnesses answer, only the newest is shown. */
  offer(checkpoint: SignedCheckpoint): void {
    if (this.stopped || (this.newest && checkpoint.size <= this.newest.size)) return
    this.newest = checkpoint
    this.soon()
  }

  /**
   * The release gate: a checkpoint of at least `size` entries, offered by then or later, that has its quorum. Rejects
   * with LedgerError when that takes longer than `timeoutMs`, and at once when there is an alarm: release nothing then.
   */
  witnessed(size: number, { timeoutMs }: { timeoutMs: number }): Promise<SignedCheckpoint> {
    if (this.options.policy.quorum === 'none')
      return Promise.reject(new LedgerError('failed', 'the witness policy has no quorum to wait for'))
    if (this.stopped) return Promise.reject(this.stoppedError())
    const there = this.latestWitnessed()
    if (there && there.size >= size) return Promise.resolve(there)
    if (this.waiting.size >= MOST_WAITING)
      return Promise.reject(new LedgerError('unavailable', 'too many callers wait for the witnesses'))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(waiting)
        reject(this.tooFew(size))
      }, timeoutMs)
      const waiting: Waiting = {
        size,
        resolve: (checkpoint) => (clearTimeout(timer), resolve(checkpoint)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      }
      this.waiting.add(waiting)
      this.soon()
    })
  }

  /** The largest checkpoint with a quorum, with all cosignatures it has. */
  latestWitnessed(): SignedCheckpoint | undefined {
    return this.cosignatures.witnessed()
  }

  /** `checkpoint` with the cosignatures it has by now, enough or not. */
  cosigned(checkpoint: SignedCheckpoint): SignedCheckpoint {
    return this.cosignatures.signed(checkpoint)
  }

  /**
   * Shows `checkpoint`, that of the ledger as it was found, to each witness once, before anything is appended to it.
   * Resolves with the alarm if there is one. A witness that cannot be reached costs its timeout and no more.
   */
  async checkAtStart(checkpoint: SignedCheckpoint): Promise<WitnessAlarm | undefined> {
    this.newest = this.target = checkpoint
    this.advance()
    await Promise.all(this.turns)
    return this.raised
  }

  status(): WitnessStatus[] {
    return this.witnesses.map((witness) => witness.status())
  }

  async close(): Promise<void> {
    this.closed = true
    this.stop()
    await Promise.all(this.witnesses.map((witness) => witness.close()))
    await Promise.all(this.turns)
  }

  private get stopped(): boolean {
    return this.closed || this.raised !== undefined
  }

  /** Not at once: many checkpoints and callers may come in one turn of the event loop. */
  private soon(): void {
    this.kick ??= setImmediate(() => {
      this.kick = undefined
      this.advance()
    })
  }

  /** Starts every turn that is due, and comes back when the next one is. */
  private advance(): void {
    clearTimeout(this.timer)
    if (this.stopped) return
    if (this.roundOver()) this.target = this.newest
    const { target } = this
    if (!target) return
    const dueAt = (witness: Witness) => witness.dueAt(target.size, this.waiting.size > 0)
    const due = this.witnesses.filter((witness) => dueAt(witness) <= performance.now())
    for (const witness of due) this.start(witness, target)
    const next = Math.min(...this.witnesses.map(dueAt))
    if (next === Infinity) return
    this.timer = setTimeout(() => this.advance(), Math.max(1, next - performance.now()))
  }

  private roundOver(): boolean {
    const { target } = this
    if (!target || this.cosignatures.enough(target)) return true
    return !this.witnesses.some((witness) => witness.pending(target.size))
  }

  private start(witness: Witness, target: SignedCheckpoint): void {
    const turn = this.take(witness, target).finally(() => this.turns.delete(turn))
    this.turns.add(turn)
  }

  private async take(witness: Witness, target: SignedCheckpoint): Promise<void> {
    const before = witness.status().problem?.problem
    const outcome = await witness.submit(target)
    switch (outcome.kind) {
      case 'cosigned':
        this.cosignatures.add(outcome.checkpoint, witness.vkey, outcome)
        // The log may have been found ahead of what was offered here.
        this.offer(outcome.checkpoint)
        this.release()
        break
      case 'contradiction':
        return this.contradicted(outcome.evidence)
      case 'problem':
        break
    }
    if (this.stopped) return
    const status = witness.status()
    if (status.problem?.problem !== before) this.options.onStatus?.(status)
    this.advance()
  }

  private release(): void {
    const checkpoint = this.latestWitnessed()
    if (!checkpoint) return
    this.options.onWitnessed?.(checkpoint)
    for (const waiting of this.waiting) {
      if (waiting.size > checkpoint.size) continue
      this.waiting.delete(waiting)
      waiting.resolve(checkpoint)
    }
  }

  /** Also when it is said while shutting down: the evidence is then found at the next start. */
  private contradicted(evidence: Evidence): void {
    this.raise(this.options.alarmFile.save(evidence, new Date()))
  }

  private raise(alarm: WitnessAlarm): void {
    if (this.raised) return
    this.raised = alarm
    this.stop()
    this.options.onAlarm(alarm)
  }

  private stop(): void {
    clearTimeout(this.timer)
    clearImmediate(this.kick)
    for (const waiting of this.waiting) waiting.reject(this.stoppedError())
    this.waiting.clear()
  }

  /** Nothing in it was sent by a witness: it goes to callers. */
  private tooFew(size: number): LedgerError {
    const missing = this.witnesses
      .map((witness) => witness.status())
      .filter(({ cosignedSize }) => cosignedSize < size)
      .map(({ name, problem }) =>
        problem ? `${name}: ${problem.problem}, ${problem.detail}` : `${name}: no answer yet`,
      )
    const message = 'too few witnesses cosigned in time: nothing is handed out'
    return new LedgerError('unavailable', `${message} (${missing.join('; ')})`)
  }

  private stoppedError(): LedgerError {
    if (this.raised)
      return new LedgerError('unavailable', 'a witness contradicts the ledger: nothing is handed out')
    return new LedgerError('unavailable', 'the broker is shutting down')
  }
}
