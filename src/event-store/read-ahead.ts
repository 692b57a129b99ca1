import { type EntryToAppend, EventStore, type Stored } from './event-store.js'

/** How far the following may be ahead of its consumer; then the store is left to wait. */
const MOST_AHEAD = 8_192

/**
 * A store that others write to as well, followed once for two readers: `watch` sees each batch the moment it arrives,
 * the consumer gets the same entries at its own pace; what has gathered meanwhile is one batch.
 */
export class ReadAheadStore extends EventStore {
  readonly description: string

  /** `watch` must not throw. It may see entries again after following was restarted. */
  constructor(
    private readonly store: EventStore,
    private readonly watch: (batch: readonly Stored[]) => void,
  ) {
    super()
    this.description = store.description
  }

  append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    return this.store.append(entries, expectedSize)
  }

  size(): Promise<number> {
    return this.store.size()
  }

  read(from: number, limit: number): Promise<Stored[]> {
    return this.store.read(from, limit)
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    const ahead = new Ahead()
    const stop = new AbortController()
    const reading = this.readInto(ahead, from, AbortSignal.any([signal, stop.signal]))
    try {
      for (let batch = await ahead.take(); batch; batch = await ahead.take()) yield batch
    } finally {
      stop.abort()
      ahead.taken?.()
      await reading
    }
  }

  close(): Promise<void> {
    return this.store.close()
  }

  private async readInto(ahead: Ahead, from: number, signal: AbortSignal): Promise<void> {
    try {
      for await (const batch of this.store.follow(from, signal)) {
        this.watch(batch)
        ahead.put(batch)
        while (ahead.count >= MOST_AHEAD && !signal.aborted) await ahead.roomMade()
      }
      ahead.end(undefined)
    } catch (error) {
      ahead.end({ error })
    }
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
