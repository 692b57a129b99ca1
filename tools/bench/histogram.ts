const STEP_US = 20
/** Up to two seconds; what is slower counts as that. */
const STEPS = 100_000

/** Latencies, counted in steps of 20 µs: every one of them, in bounded memory. */
export class Histogram {
  private readonly counts = new Uint32Array(STEPS)
  private total = 0

  add(ms: number): void {
    const step = Math.min(STEPS - 1, Math.floor((ms * 1000) / STEP_US))
    this.counts[step] = (this.counts[step] ?? 0) + 1
    this.total += 1
  }

  /** The time that `share` (0 to 1) of all stayed under, ms. */
  percentile(share: number): number {
    let seen = 0
    const wanted = share * this.total
    for (const [step, count] of this.counts.entries()) {
      seen += count
      if (seen >= wanted) return ((step + 1) * STEP_US) / 1000
    }
    return (STEPS * STEP_US) / 1000
  }
}
