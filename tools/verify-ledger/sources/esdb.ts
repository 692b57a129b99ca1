// The ledger's stream in EventStoreDB: one event is one entry, and its revision the index. What the store hides is a
// finding, since no broker ever has anything hidden.

import { BACKWARDS, END, metastreamOf } from '@eventstore/db-client'

import { finding } from '../../../src/domain/ledger/findings.js'
import { entryTextOf, membersOf } from '../../../src/domain/ledger/stored-event.js'
import type { Row } from '../../../src/domain/ledger/verify.js'

import { parseEsdbAddress } from './esdb-address.js'
import { EsdbReading, type Found, type FoundEvent, type Patience } from './esdb-reading.js'
import { type Batch, type Source, SourceError, SourceFault } from './source.js'

const PAGE = 500
/** How many pages are on their way while one is checked. */
const PAGES_AHEAD = 4
/** Empty answers in a row that are asked again: a proxy in between may end a read early, and says nothing of it. */
const EMPTY_ANSWERS = 3

const NEWEST = { direction: BACKWARDS, fromRevision: END, maxCount: 1 } as const

export class EsdbSource implements Source {
  readonly keepsSignatures = true
  private place = 0
  private first = 0

  private constructor(
    readonly description: string,
    private readonly reading: EsdbReading,
    private readonly stream: string,
    /** One past the newest revision there was when the source was opened: brokers may be writing more. */
    private readonly end: number,
  ) {}

  /** Throws UsageError for a URL that cannot be meant, SourceError when there is no ledger to be read. */
  static async open(url: string, stream: string, patience?: Patience): Promise<EsdbSource> {
    const address = parseEsdbAddress(url)
    const reading = new EsdbReading(address, patience)
    const description = `${address.name} stream ${stream}`
    try {
      const newest = await reading.read(stream, NEWEST)
      const source = new EsdbSource(description, reading, stream, sizeOf(newest))
      if (newest === 'missing' && (await source.hiding({ whole: false })) === undefined)
        throw new SourceError(`${description} holds no ledger: there is no such stream`)
      return source
    } catch (error) {
      reading.close()
      throw error
    }
  }

  async *batches(): AsyncGenerator<Batch> {
    const ahead: Promise<FoundEvent[]>[] = []
    for (let asked = 0; this.place < this.end;) {
      for (; ahead.length < PAGES_AHEAD && asked < this.end; asked += PAGE) ahead.push(this.askedFor(asked))
      const found = (await ahead.shift()) ?? []
      if (found.length === 0) break
      if (this.place === 0) this.first = Number(found[0]?.revision)
      const end = Number(found.at(-1)?.revision) + 1
      // A page that is cut off, or skips hidden entries, does not end where the next one was asked for.
      if (end !== this.place + PAGE) {
        ahead.length = 0
        asked = end
      }
      this.place = end
      yield* runs(found)
    }
    const hidden = await this.hiding({ whole: this.place === this.end && this.first === 0 })
    if (hidden !== undefined)
      throw new SourceFault(
        finding(this.place === 0 || this.first > 0 ? 0 : this.place, 'entries-hidden', hidden),
      )
    if (this.place < this.end)
      throw new SourceError(`${this.description} cannot be read: reads end before entry ${this.place}`)
  }

  progress(): number {
    return this.end === 0 ? 1 : this.place / this.end
  }

  close(): Promise<void> {
    this.reading.close()
    return Promise.resolve()
  }

  private askedFor(from: number): Promise<FoundEvent[]> {
    const page = this.page(from)
    // Awaited in its turn, or never, when the reader has gone.
    page.catch(() => undefined)
    return page
  }

  /** The next events, up to where the ledger ended; none there, or where the stream does not show them. */
  private async page(from: number): Promise<FoundEvent[]> {
    if (from >= this.end) return []
    const maxCount = Math.min(PAGE, this.end - from)
    for (let empty = 0; empty < EMPTY_ANSWERS; empty += 1) {
      const found = await this.reading.read(this.stream, { fromRevision: BigInt(from), maxCount })
      if (typeof found === 'string') return []
      // What was hidden in front of the page must not make it reach behind the end.
      if (found.length > 0) return found.filter(({ revision }) => revision < BigInt(this.end))
    }
    return []
  }

  /** Why entries are, or will be, kept from readers; undefined when they are not. `whole`: none has been missing so far. */
  private async hiding({ whole }: { whole: boolean }): Promise<string | undefined> {
    const newest = await this.reading.read(this.stream, NEWEST)
    if (newest === 'tombstoned') return 'the stream was deleted for good (tombstoned)'
    const metadata = await this.reading.read(metastreamOf(this.stream), NEWEST)
    if (metadata === 'tombstoned') return 'the stream was deleted for good (tombstoned)'
    const said = metadata === 'missing' ? [] : truncations(metadata[0]?.data)
    const state = whole
      ? 'the stream shows all of its entries, and is to hide some of them later'
      : 'the stream was truncated or soft-deleted'
    if (said.length > 0) return `${state}: its metadata says ${said.join(' and ')}`
    return typeof newest !== 'string' && newest.length === 0
      ? 'the stream shows none of its entries'
      : undefined
  }
}

function sizeOf(newest: Found): number {
  if (typeof newest === 'string') return 0
  const [head] = newest
  return head ? Number(head.revision) + 1 : 0
}

/** Each of them hides entries, at once or later. */
function truncations(metadata: unknown): string[] {
  const members = (typeof metadata === 'object' ? metadata : null) ?? {}
  return ['$tb', '$maxCount', '$maxAge'].filter((name) => Object.hasOwn(members, name))
}

/** EventStoreDB skips what it hides: a gap between revisions begins a new batch. */
function* runs(events: readonly FoundEvent[]): Generator<Batch> {
  let batch: (Batch & { signatures: Map<number, string> }) | undefined
  for (const event of events) {
    const place = Number(event.revision)
    if (batch && place !== batch.from + batch.rows.length) {
      yield batch
      batch = undefined
    }
    batch ??= { from: place, rows: [], signatures: new Map() }
    batch.rows.push(rowOf(event))
    const { signature } = membersOf(event.metadata)
    if (typeof signature === 'string') batch.signatures.set(place, signature)
  }
  if (batch) yield batch
}

/** The value itself is never repeated: what an unknown writer put there may be a secret. */
function rowOf(event: FoundEvent): Row {
  // Bytes that are not marked as JSON come as an array of numbers, and malformed JSON, as of a redacted event, as text.
  if (!event.isJson) return { problem: 'malformed', detail: 'the event is not marked as JSON' }
  if (typeof event.data !== 'object' || event.data === null)
    return { problem: 'malformed', detail: "the event's data is no JSON object: redacted, or never an entry" }
  const text = entryTextOf(event)
  return text ?? { problem: 'malformed', detail: "the event's metadata lacks a member of an entry" }
}
