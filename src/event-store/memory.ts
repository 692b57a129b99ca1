import { EventEmitter, once } from 'node:events'

import { type EntryToAppend, EventStore, StoreError, type Stored, toStored } from './event-store.js'

/** For tests: the contract without a disk. Forgets everything at the end. */
export class MemoryEventStore extends EventStore {
  readonly description = 'memory'
  private readonly entries: Stored[] = []
  private readonly grown = new EventEmitter().setMaxListeners(0)

  append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    if (this.entries.length !== expectedSize) {
      const message = `the ledger has ${this.entries.length} entries, not ${expectedSize}`
      return Promise.reject(new StoreError('conflict', message))
    }
    this.entries.push(...entries.map(toStored))
    this.grown.emit('grown')
    return Promise.resolve()
  }

  size(): Promise<number> {
    return Promise.resolve(this.entries.length)
  }

  read(from: number, limit: number): Promise<Stored[]> {
    return Promise.resolve(this.entries.slice(from, from + limit))
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    for (let next = from; !signal.aborted;) {
      const batch = this.entries.slice(next, next + 1000)
      if (batch.length > 0) {
        next += batch.length
        yield batch
        continue
      }
      try {
        await once(this.grown, 'grown', { signal })
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
