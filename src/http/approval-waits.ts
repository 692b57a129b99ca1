/** Long polls hold a place for a request each: so many at once, and of one approval. Beyond that the answer comes at once. */
const MOST = 128
const MOST_OF_ONE = 4
/** The read models are asked so often while a caller waits: a decision may come from another broker too. */
const EVERY_MS = 250

export class ApprovalWaits {
  private readonly waiting = new Map<string, number>()
  private total = 0
  private closed = false

  /** Asks until it is `settled`, or `ms` have passed. */
  async until(approvalId: string, ms: number, settled: () => boolean): Promise<void> {
    const own = this.waiting.get(approvalId) ?? 0
    if (settled() || ms === 0 || this.total >= MOST || own >= MOST_OF_ONE) return
    this.total += 1
    this.waiting.set(approvalId, own + 1)
    try {
      const end = performance.now() + ms
      while (!this.closed && performance.now() < end && !settled())
        await new Promise((resolve) => setTimeout(resolve, Math.min(EVERY_MS, ms)))
    } finally {
      this.total -= 1
      const left = (this.waiting.get(approvalId) ?? 1) - 1
      if (left === 0) this.waiting.delete(approvalId)
      else this.waiting.set(approvalId, left)
    }
  }

  /** All that wait get an answer now: the end of the broker waits for none of them. */
  close(): void {
    this.closed = true
  }
}
