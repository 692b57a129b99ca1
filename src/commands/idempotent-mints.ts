// A retry with the same Idempotency-Key gets the reply of the mint that its first try made. Replies hold credentials, so
// they are in the memory of this broker only: after a restart, and at another broker, a key is new.

import { hash } from 'node:crypto'

import { BrokerError } from '../domain/errors.js'
import { LedgerError } from '../domain/ledger-error.js'
import type { Caller } from '../domain/mint.js'

/** What distinguishes a retry from another mint. */
export interface Keyed {
  key: string
  /** What is asked for, in one form: the same key for another ask is refused. */
  ask: string
}

/** What a mint hands out, as far as it matters for how long it can be handed out again. */
export interface Expiring {
  expiresAt: Date
}

export interface Replayable<T> {
  minted: T
  replayed: boolean
}

export interface ReplyBounds {
  keptMs: number
  replies: number
  repliesOfSession: number
  bytes: number
}

/** A session pushes out its own replies first, so that one caller cannot make the broker forget those of others. */
const BOUNDS: ReplyBounds = {
  keptMs: 300_000,
  replies: 8_192,
  repliesOfSession: 128,
  bytes: 24 * 1024 * 1024,
}

interface Reply {
  askSha256: string
  outcome: Promise<Expiring>
}

interface KeptReply extends Reply {
  session: string
  /** Milliseconds since 1970. */
  until: number
  bytes: number
}

export class IdempotentMints {
  private readonly underWay = new Map<string, Reply>()
  /** In the order in which they were kept. */
  private readonly kept = new Map<string, KeptReply>()
  private readonly ofSession = new Map<string, Set<string>>()
  private bytes = 0

  constructor(private readonly bounds: ReplyBounds = BOUNDS) {}

  /**
   * Mints once for each session, key and ask, also where several ask at the same moment. `mint` calls `begun` once its
   * entry is in the ledger: a failure after that, or one that leaves it open, is the answer to every retry, and any other
   * failure is forgotten. The session is part of the key: another one of the same wallet may have another scope.
   */
  async run<T extends Expiring>(
    { wallet, tokenSha256, at }: Pick<Caller, 'wallet' | 'tokenSha256' | 'at'>,
    keyed: Keyed | undefined,
    mint: (begun: () => void) => Promise<T>,
  ): Promise<Replayable<T>> {
    if (!keyed) return { minted: await mint(() => undefined), replayed: false }
    const now = at.getTime()
    this.forgetExpired(now)
    const session = `${wallet} ${tokenSha256}`
    const id = hash('sha256', JSON.stringify([session, keyed.key]))
    const askSha256 = hash('sha256', keyed.ask)
    const known = this.underWay.get(id) ?? this.current(id, now)
    if (known) return { minted: (await replayOf(known, askSha256)) as T, replayed: true }

    let recorded = false
    const outcome = mint(() => (recorded = true))
    this.underWay.set(id, { askSha256, outcome })
    const keep = (until: number, bytes: number) =>
      this.keep(id, { askSha256, outcome, session, until, bytes }, now)
    try {
      const minted = await outcome
      const expiresAt = minted.expiresAt.getTime()
      keep(Math.min(now + this.bounds.keptMs, expiresAt), JSON.stringify(minted).length)
      return { minted, replayed: false }
    } catch (error) {
      if (recorded || isInDoubt(error)) keep(now + this.bounds.keptMs, 1_024)
      throw error
    } finally {
      this.underWay.delete(id)
    }
  }

  private keep(id: string, reply: KeptReply, now: number): void {
    if (reply.until <= now) return
    this.kept.set(id, reply)
    this.bytes += reply.bytes
    const own = this.ofSession.get(reply.session) ?? new Set()
    this.ofSession.set(reply.session, own.add(id))
    if (own.size > this.bounds.repliesOfSession) this.forget(own.values().next().value)
    while (this.kept.size > this.bounds.replies || this.bytes > this.bounds.bytes)
      this.forget(this.kept.keys().next().value)
  }

  /** A short-lived token may end before replies that were kept earlier: forgetExpired stops at those. */
  private current(id: string, now: number): KeptReply | undefined {
    const reply = this.kept.get(id)
    if (reply && reply.until > now) return reply
    this.forget(id)
    return undefined
  }

  private forgetExpired(now: number): void {
    for (const [id, { until }] of this.kept) {
      if (until > now) break
      this.forget(id)
    }
  }

  private forget(id: string | undefined): void {
    const reply = id === undefined ? undefined : this.kept.get(id)
    if (id === undefined || !reply) return
    this.kept.delete(id)
    this.bytes -= reply.bytes
    const own = this.ofSession.get(reply.session)
    own?.delete(id)
    if (own?.size === 0) this.ofSession.delete(reply.session)
  }
}

function replayOf({ askSha256, outcome }: Reply, askedSha256: string): Promise<Expiring> {
  if (askSha256 === askedSha256) return outcome
  throw new BrokerError(
    'idempotency-key-reused',
    'this Idempotency-Key was used for another mint in the last five minutes: take a new one for each mint',
  )
}

function isInDoubt(error: unknown): boolean {
  return error instanceof LedgerError && error.code === 'in-doubt'
}
