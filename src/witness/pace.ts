// When a witness may be asked next. It is given the time and keeps none: all times are on one monotonic clock, in ms.

export interface PaceLimits {
  /** Least time between the starts of two requests while a mint waits. */
  gapMs: number
  /** The same while nothing waits, and the most that `gapMs` grows to: public witnesses accept one request a second from each log. */
  idleMs: number
  /** After a failure; doubled with each further one, up to the most. */
  backoffMs: number
  maxBackoffMs: number
}

/** What a witness asks for in Retry-After is kept, up to this: a longer one would be a way to be forgotten. */
export const MAX_RETRY_AFTER_MS = 3_600_000

/** Each prompt answer takes a tenth off a gap that grew, so that a rate limit is approached slowly. */
const SHRINK = 0.9

export class Pace {
  private gapMs: number
  private startedAt = -Infinity
  /** No request before this, whether or not a mint waits. */
  private notBefore = -Infinity
  private failures = 0

  constructor(
    private readonly limits: PaceLimits,
    private readonly random: () => number,
  ) {
    this.gapMs = limits.gapMs
  }

  succeeded(startedAt: number, endedAt: number): void {
    const { gapMs, idleMs } = this.limits
    this.failures = 0
    this.gapMs = Math.max(gapMs, this.gapMs * SHRINK)
    this.startedAt = startedAt
    // A slow witness is left alone for as long as it took, so that this log is at most half of its work.
    const tookMs = endedAt - startedAt
    this.notBefore = endedAt + (tookMs > gapMs ? Math.min(tookMs, idleMs) : 0)
  }

  failed(startedAt: number, endedAt: number, { overloaded, retryAfterMs }: Failure): void {
    const { gapMs, idleMs } = this.limits
    this.failures += 1
    if (overloaded) this.gapMs = Math.min(Math.max(gapMs, idleMs), Math.max(1, this.gapMs) * 2)
    this.startedAt = startedAt
    this.notBefore = endedAt + Math.max(this.backoff(), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS))
  }

  /** `waited`: a mint waits for what would be asked. */
  readyAt(waited: boolean): number {
    const gapMs = waited ? this.gapMs : Math.max(this.gapMs, this.limits.idleMs)
    return Math.max(this.startedAt + gapMs, this.notBefore)
  }

  backsOff(now: number): boolean {
    return this.failures > 0 && now < this.notBefore
  }

  /** Half of it is chance: brokers and logs that lost a witness together must not come back together. */
  private backoff(): number {
    const { backoffMs, maxBackoffMs } = this.limits
    const grown = backoffMs * 2 ** Math.min(this.failures - 1, 30)
    return Math.min(maxBackoffMs, grown * (0.5 + this.random() / 2))
  }
}

export interface Failure {
  /** 429 or 5xx: it was asked more often than it likes. */
  overloaded: boolean
  /** 0 if it named none. */
  retryAfterMs: number
}
