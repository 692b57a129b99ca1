import type { Stored } from '../event-store.js'

/** Entries kept at most. What is older is read from the store. */
const MOST_KEPT = 1_024

/** The latest entries that the live follow delivered: a run without gaps. */
export class RecentEntries {
  private entries: Stored[] = []
  private whenAdded: (() => void) | undefined

  /** In order; known entries are skipped. */
  add(batch: readonly Stored[]): void {
    for (const stored of batch) {
      if (stored.index < this.end) continue
      if (stored.index > this.end) this.entries = []
      this.entries.push(stored)
    }
    if (this.entries.length > 2 * MOST_KEPT) this.entries = this.entries.slice(-MOST_KEPT)
    this.whenAdded?.()
  }

  /** Up to `limit` entries from index `from` on; [] at the end of the run; undefined where they are not held. */
  from(from: number, limit: number): Stored[] | undefined {
    const first = this.entries[0]?.index
    if (first === undefined || from < first || from > this.end) return undefined
    return this.entries.slice(from - first, from - first + limit)
  }

  /**
   * Resolves with whether there is, now or within `ms`, the end of an append at or after `from`. Its signature is not
   * verified here: without one the append has not arrived completely.
   */
  async completeFrom(from: number, ms: number): Promise<boolean> {
    if (this.isComplete(from)) return true
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(false), ms)
        this.whenAdded = () => {
          if (this.isComplete(from)) resolve(true)
        }
      })
    } finally {
      clearTimeout(timer)
      this.whenAdded = undefined
    }
  }

  private isComplete(from: number): boolean {
    return (this.from(from, Infinity) ?? []).some(({ signature }) => signature !== undefined)
  }

  private get end(): number {
    const last = this.entries.at(-1)
    return last ? last.index + 1 : 0
  }
}
