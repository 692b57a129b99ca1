// This broker's own latest appends. While no other broker writes, they are all there is to follow.
//
// Whatever is followed from here joins without a gap, since each append was confirmed at an exact place: an entry of
// another broker's entry between two of ours shows as a gap, and ends it.

import type { Stored } from '../event-store.js'
import type { EntryText } from './event.js'

/** How many of the latest entries are kept: several groups. */
const RETAINED_ENTRIES = 4_096
/** How long nothing of our own need be appended before others' entries are listened for again. */
const IDLE_BEFORE_RESUBSCRIBE_MS = 250

export class OwnAppends {
  private kept: Stored[] = []
  private stirred: { why: Error | undefined } | undefined
  private wake: (() => void) | undefined

  constructor(private readonly node: string | undefined) {}

  isOurs(by: string | undefined): boolean {
    return by !== undefined && by === this.node
  }

  /** The server has confirmed it, at exactly this place: so no other broker's entries are between it and the one before. */
  confirmed(entries: readonly Omit<EntryText, 'leafHash'>[], from: number): void {
    if (this.node === undefined) return
    if (from !== this.end) this.kept = []
    const note = { by: this.node, upTo: from + entries.length - 1 }
    for (const [i, { text, signature }] of entries.entries())
      this.kept.push({ index: from + i, text, ...note, ...(signature === undefined ? {} : { signature }) })
    if (this.kept.length > 2 * RETAINED_ENTRIES) this.kept = this.kept.slice(-RETAINED_ENTRIES)
    this.wake?.()
  }

  /** A subscription to all writers is open: earlier invalidations are covered by it. */
  subscribed(): void {
    this.stirred = undefined
  }

  /** For instance an append was not confirmed, or another broker may have written. `why`: the error following must fail with. */
  invalidate(why?: Error): void {
    this.stirred = { why: this.stirred?.why ?? why }
    this.wake?.()
  }

  /** Whether they can be followed from index `next` on. */
  covers(next: number): boolean {
    return this.kept.length > 0 && this.first <= next && next <= this.end
  }

  /** From index `next` on, as they are confirmed. Ends when something stirs, or when nothing has come for a while. */
  async *from(next: number): AsyncGenerator<Stored[], void> {
    for (let at = next; this.covers(at) && !this.stirred;) {
      const batch = this.kept.slice(at - this.first)
      at += batch.length
      if (batch.length > 0) yield batch
      else if (!(await this.more())) return
    }
    if (this.stirred?.why) throw this.stirred.why
  }

  private get first(): number {
    return this.kept[0]?.index ?? 0
  }

  private get end(): number {
    return this.first + this.kept.length
  }

  /** False: nothing came. */
  private async more(): Promise<boolean> {
    let quiet: NodeJS.Timeout | undefined
    const came = new Promise<boolean>((resolve) => {
      this.wake = () => resolve(true)
      quiet = setTimeout(() => resolve(false), IDLE_BEFORE_RESUBSCRIBE_MS)
    })
    const more = await came
    clearTimeout(quiet)
    this.wake = undefined
    return more
  }
}
