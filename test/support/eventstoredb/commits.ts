// Appends that a node has accepted and not committed: replication is paused, or the disk is slow. As seen with real
// nodes, such an append holds its place, so that others are refused at once, and no reader sees it until it is committed.
// It may also be taken back, after which its place is free again.

interface Accepted<Event> {
  stream: string
  events: readonly Event[]
  write: () => void
}

export class Commits<Event> {
  private paused = false
  private accepted: Accepted<Event>[] = []
  private whenSettled: (() => void)[] = []

  /** From now on appends are accepted and not committed. */
  pause(): void {
    this.paused = true
  }

  /** Commits what was accepted, in order, and from now on every append at once. */
  resume(): void {
    this.settle(({ write }) => write())
  }

  /** Takes back what was accepted, and commits every later append at once. */
  abort(): void {
    this.settle(() => undefined)
  }

  /** The events of the stream that are accepted and not committed. */
  waiting(stream: string): readonly Event[] | undefined {
    return this.accepted.find((one) => one.stream === stream)?.events
  }

  /** False where appends are committed at once. */
  accept(stream: string, events: readonly Event[], write: () => void): boolean {
    if (this.paused) this.accepted.push({ stream, events, write })
    return this.paused
  }

  /** Resolves when nothing is accepted and uncommitted any more. */
  settled(): Promise<void> {
    if (this.accepted.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.whenSettled.push(resolve))
  }

  private settle(each: (one: Accepted<Event>) => void): void {
    this.paused = false
    for (const one of this.accepted.splice(0)) each(one)
    for (const resolve of this.whenSettled.splice(0)) resolve()
  }
}
