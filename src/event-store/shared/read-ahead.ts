// One following for two readers: one sees each batch the moment it arrives, the other reads at its own pace.

import type { EventStore, Stored } from '../event-store.js'

/** How far the following may be ahead of its consumer; then the store has to wait. */
const MOST_AHEAD = 8_192

/**
 * Follows `store`. `watch` sees each batch when it arrives and must not throw; the consumer gets the same entries, and
 * what arrived since it last asked as one batch.
 */
export async function* readAhead(
  store: EventStore,
  from: number,
  signal: AbortSignal,
  watch: (batch: readonly Stored[]) => void,
): AsyncIterable<Stored[]> {
  const ahead = new Ahead()
  const stop = new AbortController()
  const source = store.follow(from, AbortSignal.any([signal, stop.signal]))
  const reading = fill(ahead, source, watch, stop.signal)
  try {
    for (let batch = await ahead.take(); batch; batch = await ahead.take()) yield batch
  } finally {
    stop.abort()
    ahead.taken?.()
    await reading
  }
}

async function fill(
  ahead: Ahead,
  source: AsyncIterable<Stored[]>,
  watch: (batch: readonly Stored[]) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const batch of source) {
      watch(batch)
      ahead.put(batch)
      while (ahead.count >= MOST_AHEAD && !signal.aborted) await ahead.roomMade()
    }
    ahead.end(undefined)
  } catch (error) {
    ahead.end({ error })
  }
}

/** Buffered entries. Anything buffered is delivered before end-of-stream is reported. */
class Ahead {
  private entries: Stored[] = []
  private ended: { failure: { error: unknown } | undefined } | undefined
  private arrived: (() => void) | undefined
  taken: (() => void) | undefined

  get count(): number {
    return this.entries.length
  }

  put(batch: Stored[]): void {
    this.entries = this.entries.length === 0 ? batch : this.entries.concat(batch)
    this.arrived?.()
  }

  end(failure: { error: unknown } | undefined): void {
    this.ended = { failure }
    this.arrived?.()
  }

  roomMade(): Promise<void> {
    return new Promise((resolve) => (this.taken = resolve))
  }

  /** Undefined at the end; throws what ended the following. */
  async take(): Promise<Stored[] | undefined> {
    while (this.entries.length === 0) {
      if (this.ended?.failure) throw this.ended.failure.error
      if (this.ended) return undefined
      await new Promise<void>((resolve) => (this.arrived = resolve))
    }
    const batch = this.entries
    this.entries = []
    this.taken?.()
    return batch
  }
}
