import type { EventOf } from '../domain/ledger/events.js'

/** Requests that never had a valid session, counted by reason until the minute's one entry is written. */
export class RefusalCounter {
  private readonly counts = new Map<string, number>()
  private since: Date | undefined

  constructor(private readonly now: () => Date) {}

  count(reason: string): void {
    this.since ??= this.now()
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1)
  }

  /** What was counted since the last call, as the event to append. Undefined: nothing. */
  take(): EventOf<'RefusalsCounted'> | undefined {
    if (!this.since) return undefined
    const [since, until] = [this.since, this.now()]
    const data = {
      since: since.toISOString(),
      until: (until < since ? since : until).toISOString(),
      counts: Object.fromEntries(this.counts),
    }
    this.since = undefined
    this.counts.clear()
    return { type: 'RefusalsCounted', data }
  }
}
