// One witness: what it has cosigned, when it may be asked next, and the asking.

import { deadline } from '../deadline.js'
import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
  verifyCheckpoint,
} from '../domain/ledger/checkpoint.js'
import { formatVkey, type NoteKey, type NoteSignature } from '../domain/ledger/note.js'
import type { PolicyWitness } from '../domain/ledger/policy.js'
import { FormatError } from '../domain/ledger/encoding.js'
import { formatWitnessRequest } from '../domain/ledger/witness-request.js'
import { Pace, type PaceLimits } from './pace.js'
import {
  type Contradiction,
  readAnswer,
  type Trouble,
  trouble,
  type WitnessProblem,
} from './witness-answer.js'
import { type WitnessAnswer, WitnessConnection, WitnessUnreachable } from './witness-connection.js'

/** The log that is witnessed, as far as a witness asks about it. */
export interface OwnLog {
  readonly key: NoteKey
  /** PROOF(oldSize, D[newSize]) of RFC 6962, from any size the log ever had. */
  proof(oldSize: number, newSize: number): Promise<readonly Uint8Array[]>
  /**
   * The checkpoint of all that is in the store by now. It is asked for when a witness knows a larger tree than it was
   * shown: where several brokers share a ledger, another one may have shown it more. Must not answer from a stale copy.
   */
  newest(): Promise<SignedCheckpoint>
}

export interface WitnessLimits extends PaceLimits {
  /** For one request, from the connect to the last byte; and for what our own log has to give for it. */
  requestMs: number
  /** How old a cosignature gets before an idle log asks for one with a new time. */
  refreshMs: number
}

export const DEFAULT_WITNESS_LIMITS: WitnessLimits = {
  requestMs: 5_000,
  gapMs: 100,
  idleMs: 1_000,
  backoffMs: 250,
  maxBackoffMs: 60_000,
  refreshMs: 3_600_000,
}

/** The evidence, for the investigation. */
export interface Evidence {
  contradiction: Contradiction
  witness: { name: string; vkey: string; url: string }
  /** Our newest checkpoint, when the answer had come. */
  checkpoint: string
  /** The body as it was sent. */
  request: string
  answer: WitnessAnswer
  /** Of witness-ahead: the larger checkpoint under this ledger's own signature, as the witness showed it. */
  shown?: string
}

export type Outcome =
  | { kind: 'cosigned'; checkpoint: SignedCheckpoint; cosignature: NoteSignature; time: number }
  | { kind: 'contradiction'; evidence: Evidence }
  | Trouble

export interface WitnessStatus {
  name: string
  /** Of the checkpoint it cosigned last for this process; 0 if none. */
  cosignedSize: number
  cosignedAt: Date | undefined
  problem: { problem: WitnessProblem; detail: string } | undefined
}

/** A witness's size may change between two of our requests: other brokers submit to it too. */
const MAX_TRIES = 4

export class Witness {
  readonly vkey: string
  private readonly url: string
  private readonly connection: WitnessConnection
  /** Not kept over a restart: the first answer is then a 409 with the size, which costs one request. */
  private cosigned = { size: 0, at: -Infinity, time: 0 }
  private running = false
  private readonly pace: Pace
  private trouble: Trouble | undefined

  constructor(
    readonly member: PolicyWitness,
    private readonly log: OwnLog,
    private readonly limits: WitnessLimits,
    random: () => number = Math.random,
  ) {
    if (member.url === undefined) throw new RangeError(`witness ${member.name} has no URL`)
    this.url = member.url
    this.vkey = formatVkey(member.key)
    this.connection = new WitnessConnection(member.url, limits.requestMs)
    this.pace = new Pace(limits, random)
  }

  /**
   * When to submit a checkpoint of `size`, as performance.now() counts; `waited`: a mint waits for it. Infinity: not
   * before the request under way ends.
   */
  dueAt(size: number, waited: boolean): number {
    if (this.running) return Infinity
    if (this.cosigned.size < size) return this.pace.readyAt(waited)
    return Math.max(this.pace.readyAt(false), this.cosigned.at + this.limits.refreshMs)
  }

  /** Whether an answer about `size` may be had without waiting for a back-off to end. */
  pending(size: number): boolean {
    if (this.running) return true
    return this.cosigned.size < size && !this.pace.backsOff(performance.now())
  }

  status(): WitnessStatus {
    const { size, time } = this.cosigned
    return {
      name: this.member.name,
      cosignedSize: size,
      cosignedAt: size === 0 ? undefined : new Date(time * 1000),
      problem: this.trouble && { problem: this.trouble.problem, detail: this.trouble.detail },
    }
  }

  /** Asks for a cosignature of `checkpoint`, or of a newer one if that is what it takes. Never rejects. */
  async submit(checkpoint: SignedCheckpoint): Promise<Outcome> {
    if (this.running) throw new Error('a witness is asked one thing at a time')
    this.running = true
    const startedAt = performance.now()
    try {
      const outcome = await this.exchange(checkpoint)
      this.remember(outcome, startedAt)
      return outcome
    } finally {
      this.running = false
    }
  }

  async close(): Promise<void> {
    await this.connection.close()
  }

  /** A contradiction stops the broker, so it is one only when it is repeated over a fresh connection. */
  private async exchange(first: SignedCheckpoint): Promise<Outcome> {
    let checkpoint = first
    let oldSize = Math.min(this.cosigned.size, first.size)
    let said: Contradiction | undefined
    try {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const proof = await this.proof(oldSize, checkpoint.size)
        const request = { oldSize, proof, checkpoint }
        const body = formatWitnessRequest(request)
        const answer = await this.connection.post(body)
        const reading = readAnswer(answer, request, this.member.key)
        switch (reading.kind) {
          case 'cosigned':
            return { ...reading, checkpoint }
          case 'contradiction':
            if (said === reading.contradiction)
              return this.contradiction(said, { checkpoint, request: body, answer })
            said = reading.contradiction
            this.connection.renew()
            break
          case 'problem':
            return reading
          case 'at-size':
            if (reading.size > checkpoint.size) checkpoint = await this.within(this.log.newest())
            if (reading.size > checkpoint.size) return await this.claimsMore({ request: body, answer })
            oldSize = reading.size
        }
      }
      return trouble('bad-answer', 'it answered 409 with another size each time')
    } catch (error) {
      if (error instanceof WitnessUnreachable) return trouble('unreachable', error.message)
      // What our own log cannot tell is no witness's fault, and no sign of a fork.
      return trouble('own-log', (error as Error).message)
    }
  }

  /**
   * It says that it has cosigned more than the ledger has. The number alone proves nothing, and a witness that made it
   * up must not stop the broker: what this ledger's own key has signed does.
   */
  private async claimsMore(said: Pick<Evidence, 'request' | 'answer'>): Promise<Outcome> {
    this.connection.renew()
    const shown = await this.shownCheckpoint()
    // Read after it: another broker may have appended meanwhile.
    const checkpoint = await this.within(this.log.newest())
    if (shown && shown.size > checkpoint.size)
      return this.contradiction('witness-ahead', {
        ...said,
        checkpoint,
        shown: formatSignedCheckpoint(shown),
      })
    return trouble(
      'claims-more',
      'it answered 409 with a size larger than the ledger, and shows no checkpoint that would prove it',
    )
  }

  private async shownCheckpoint(): Promise<SignedCheckpoint | undefined> {
    const { key } = this.log
    try {
      const { status, body } = await this.connection.read(key.name)
      if (status !== 200) return undefined
      const shown = parseSignedCheckpoint(body)
      return shown.origin === key.name && verifyCheckpoint(shown, [key]).ok ? shown : undefined
    } catch (error) {
      if (error instanceof FormatError || error instanceof WitnessUnreachable) return undefined
      throw error
    }
  }

  private remember(outcome: Outcome, startedAt: number): void {
    const now = performance.now()
    switch (outcome.kind) {
      case 'cosigned':
        this.cosigned = { size: outcome.checkpoint.size, at: now, time: outcome.time }
        this.trouble = undefined
        this.pace.succeeded(startedAt, now)
        return
      case 'problem': {
        const { problem, retryAfterMs } = outcome
        this.trouble = outcome
        this.pace.failed(startedAt, now, { overloaded: problem === 'overloaded', retryAfterMs })
        return
      }
      case 'contradiction':
        return
    }
  }

  private contradiction(
    contradiction: Contradiction,
    said: Omit<Evidence, 'contradiction' | 'witness' | 'checkpoint'> & { checkpoint: SignedCheckpoint },
  ): Outcome {
    const { vkey, url } = this
    const witness = { name: this.member.name, vkey, url }
    const checkpoint = formatSignedCheckpoint(said.checkpoint)
    return { kind: 'contradiction', evidence: { ...said, contradiction, witness, checkpoint } }
  }

  /** Between equal sizes and from nothing there is none, and the specification wants no line. */
  private async proof(oldSize: number, size: number): Promise<readonly Uint8Array[]> {
    if (oldSize === 0 || oldSize === size) return []
    return this.within(this.log.proof(oldSize, size))
  }

  /** Our own log may hang too, as when its store does. A witness is then free again, and a stop does not wait for it. */
  private within<T>(work: Promise<T>): Promise<T> {
    const { requestMs } = this.limits
    return deadline(requestMs, work, () => new Error(`the log gave nothing within ${requestMs} ms`))
  }
}
