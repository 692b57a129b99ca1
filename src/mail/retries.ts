// When a message that could not be moved is tried again: one that always fails must not slow down the others.

const FIRST_MS = 2_000
const LONGEST_MS = 300_000
/** Of more than these the oldest is forgotten, and so tried at every pass. */
const MOST_KEPT = 10_000

interface Failed {
  times: number
  dueAt: number
}

/** Times are milliseconds, and come in as arguments. */
export class Retries {
  private readonly failures = new Map<string, Failed>()

  isDue(messageId: string, now: number): boolean {
    return (this.failures.get(messageId)?.dueAt ?? 0) <= now
  }

  /** Returns how long it will wait. */
  failed(messageId: string, now: number): number {
    const times = (this.failures.get(messageId)?.times ?? 0) + 1
    const wait = Math.min(FIRST_MS * 2 ** (times - 1), LONGEST_MS)
    this.failures.delete(messageId)
    this.failures.set(messageId, { times, dueAt: now + wait })
    const [oldest] = this.failures.keys()
    if (this.failures.size > MOST_KEPT && oldest !== undefined) this.failures.delete(oldest)
    return wait
  }

  done(messageId: string): void {
    this.failures.delete(messageId)
  }
}
