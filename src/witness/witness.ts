// One witness: what it has cosigned, when it may be asked next, and the asking.

import { formatSignedCheckpoint, type SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { formatVkey, type NoteSignature } from '../domain/ledger/note.js'
import type { PolicyWitness } from '../domain/ledger/policy.js'
import { formatWitnessRequest } from '../domain/ledger/witness-request.js'
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
  /** PROOF(oldSize, D[newSize]) of RFC 6962, from any size the log ever had. */
  proof(oldSize: number, newSize: number): Promise<readonly Uint8Array[]>
  /**
   * The checkpoint of all that is in the store by now. It is asked for when a witness knows a larger tree than it was
   * shown: where several brokers share a ledger, another one may have shown it more. Must not answer from a stale copy.
   */
  newest(): Promise<SignedCheckpoint>
}

export interface WitnessLimits {
  /** For one request, from the connect to the last byte; and for what our own log has to give for it. */
  requestMs: number
  /** Between the starts of two submissions: public witnesses count on one a second from each log. */
  paceMs: number
  /** After a failure; doubled with each further one, up to the most. */
  backoffMs: number
  maxBackoffMs: number
  /** How old a cosignature gets before an idle log asks for one with a new time. */
  refreshMs: number
}

export const DEFAULT_WITNESS_LIMITS: WitnessLimits = {
  requestMs: 5_000,
  paceMs: 1_000,
  backoffMs: 250,
  maxBackoffMs: 60_000,
  refreshMs: 3_600_000,
}

/** What was said, for whoever has to find out what happened. */
export interface Evidence {
  contradiction: Contradiction
  witness: { name: string; vkey: string; url: string }
  /** Our newest checkpoint, when the answer had come. */
  checkpoint: string
  /** The body as it was sent. */
  request: string
  answer: WitnessAnswer
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
  private failures = 0
  /** As performance.now() counts. */
  private readyAt = 0
  private trouble: Trouble | undefined

  constructor(
    readonly member: PolicyWitness,
    private readonly log: OwnLog,
    private readonly limits: WitnessLimits,
    private readonly random: () => number = Math.random,
  ) {
    if (member.url === undefined) throw new RangeError(`witness ${member.name} has no URL`)
    this.url = member.url
    this.vkey = formatVkey(member.key)
    this.connection = new WitnessConnection(member.url, limits.requestMs)
  }

  /** When to submit a checkpoint of `size`, as performance.now() counts. Infinity: not before the request under way ends. */
  dueAt(size: number): number {
    if (this.running) return Infinity
    if (this.cosigned.size < size) return this.readyAt
    return Math.max(this.readyAt, this.cosigned.at + this.limits.refreshMs)
  }

  /** Whether an answer about `size` may be had without waiting for a back-off to end. */
  pending(size: number): boolean {
    if (this.running) return true
    return this.cosigned.size < size && (this.failures === 0 || this.readyAt <= performance.now())
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

  private async exchange(first: SignedCheckpoint): Promise<Outcome> {
    let checkpoint = first
    let oldSize = Math.min(this.cosigned.size, first.size)
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
            return this.contradiction(reading.contradiction, checkpoint, body, answer)
          case 'problem':
            return reading
          case 'at-size':
            if (reading.size > checkpoint.size) checkpoint = await this.within(this.log.newest())
            if (reading.size > checkpoint.size)
              return this.contradiction('witness-ahead', checkpoint, body, answer)
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

  private remember(outcome: Outcome, startedAt: number): void {
    const now = performance.now()
    switch (outcome.kind) {
      case 'cosigned':
        this.cosigned = { size: outcome.checkpoint.size, at: now, time: outcome.time }
        this.failures = 0
        this.trouble = undefined
        this.readyAt = startedAt + this.limits.paceMs
        return
      case 'problem':
        this.failures += 1
        this.trouble = outcome
        this.readyAt = now + this.backoff(outcome.retryAfterMs)
        return
      case 'contradiction':
        return
    }
  }

  /** Half of it is chance: brokers and logs that lost a witness together must not come back together. */
  private backoff(askedForMs: number): number {
    const { backoffMs, maxBackoffMs } = this.limits
    const grown = backoffMs * 2 ** Math.min(this.failures - 1, 30)
    return Math.min(maxBackoffMs, Math.max(askedForMs, grown * (0.5 + this.random() / 2)))
  }

  private contradiction(
    contradiction: Contradiction,
    checkpoint: SignedCheckpoint,
    request: string,
    answer: WitnessAnswer,
  ): Outcome {
    const { vkey, url } = this
    const witness = { name: this.member.name, vkey, url }
    const note = formatSignedCheckpoint(checkpoint)
    return { kind: 'contradiction', evidence: { contradiction, witness, checkpoint: note, request, answer } }
  }

  /** Between equal sizes and from nothing there is none, and the specification wants no line. */
  private async proof(oldSize: number, size: number): Promise<readonly Uint8Array[]> {
    if (oldSize === 0 || oldSize === size) return []
    return this.within(this.log.proof(oldSize, size))
  }
  /** Our own log may hang too, as when its store does. A witness is then free again, and a stop does not wait for it. */
  private async within<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const { requestMs } = this.limits
      timer = setTimeout(() => reject(new Error(`the log gave nothing within ${requestMs} ms`)), requestMs)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
