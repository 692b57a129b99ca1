import { type EntryToAppend, EventStore, StoreError, type Stored } from '../../src/event-store/event-store.js'

/**
 * What can go wrong with one append: every row of {not persisted, persisted} × {reported failed, reported unknown,
 * never answered}, and what cannot be: a failure reported as certain although the entries are there.
 */
export const FAULTS = [
  'unavailable',
  'refused',
  'unknown, not persisted',
  'unknown, persisted',
  'no answer, not persisted',
  'no answer, persisted',
  'crash of the client, not persisted',
  'crash of the client, persisted',
] as const
export type Fault = (typeof FAULTS)[number]

/** A real store behind a network with faults on order: the next appends meet `faults` in turn. */
export class FaultyStore extends EventStore {
  readonly description: string
  readonly faults: (Fault | undefined)[] = []
  appends = 0
  /** So many reads fail. */
  readsFail = 0
  /** So many entries of the next append are persisted, and its outcome is unknown. */
  cutAfter: number | undefined
  afterCut: (written: readonly EntryToAppend[]) => Promise<void> = () => Promise.resolve()

  constructor(private readonly store: EventStore) {
    super()
    this.description = `faulty ${store.description}`
  }

  async append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    this.appends += 1
    const cutAfter = this.cutAfter
    if (cutAfter !== undefined) {
      this.cutAfter = undefined
      const written = entries.slice(0, cutAfter)
      await this.store.append(written, expectedSize)
      await this.afterCut(written)
      throw new StoreError('unknown', 'the connection was lost')
    }
    const fault = this.faults.shift()
    if (fault?.endsWith(', persisted')) await this.store.append(entries, expectedSize)
    switch (fault) {
      case undefined:
        return this.store.append(entries, expectedSize)
      case 'unavailable':
        throw new StoreError('unavailable', 'the disk is full')
      case 'refused':
        throw new StoreError('refused', 'the file is read-only')
      case 'unknown, not persisted':
      case 'unknown, persisted':
        throw new StoreError('unknown', 'the connection was lost')
      case 'no answer, not persisted':
      case 'no answer, persisted':
        return new Promise(() => undefined)
      case 'crash of the client, not persisted':
      case 'crash of the client, persisted':
        throw new TypeError('undefined is not iterable')
    }
  }

  size(): Promise<number> {
    return this.store.size()
  }

  read(from: number, limit: number): Promise<Stored[]> {
    if (this.readsFail > 0) {
      this.readsFail -= 1
      return Promise.reject(new StoreError('unavailable', 'the connection was lost'))
    }
    return this.store.read(from, limit)
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    return this.store.follow(from, signal)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
