// The stand-in's data and the rules an EventStoreDB 22.10 to 24.10 node keeps about it: expected revisions, idempotency,
// truncation, deletion. No network here. What was seen with real nodes (23.10.6, 24.6.0) and what is a reading of the
// server's source is described in docs/eventstoredb.md; where the two could differ, a real node decides (ESDB_URL).

import { EventEmitter } from 'node:events'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'

import { Commits } from './commits.js'

export interface Proposed {
  id: string
  type: string
  contentType: string
  data: Uint8Array
  metadata: Uint8Array
}

export interface Recorded extends Proposed {
  stream: string
  revision: number
  position: number
  /** When it was written, in .NET ticks of 100 ns since 1970. */
  ticks: string
  /** What readers are sent, once it was made. */
  message?: Buffer
}

export type Expected = 'any' | 'no_stream' | 'stream_exists' | bigint

export type Verdict =
  | { ok: true; revision: number; position: number | undefined }
  | { ok: false; why: 'wrong-version'; current: number; expected: Expected }
  | { ok: false; why: 'deleted' | 'too-large' }
  /** Accepted, and answered when it is committed or taken back. */
  | { ok: false; why: 'uncommitted' }

/** `$tb` of a soft-deleted stream: the greatest 64-bit revision, as JSON.parse rounds it. */
const SOFT_DELETED = 9223372036854775807n

export interface StreamMetadata {
  $tb?: number
  $maxCount?: number
  $maxAge?: number
  $acl?: Record<string, string | string[]>
}

/** One node's data, or what the nodes of one cluster agree on. Kept in memory, and in `file` where one is given. */
export class Database {
  readonly log: Recorded[] = []
  private readonly streams = new Map<string, Recorded[]>()
  private readonly tombstones = new Set<string>()
  /** 'changed' after every append, deletion and redaction. */
  readonly changes = new EventEmitter().setMaxListeners(0)
  maxAppendBytes = 1024 * 1024
  readonly commits = new Commits<Proposed>()

  constructor(private readonly file?: string) {
    if (!file || !existsSync(file)) return
    for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) this.restore(line)
  }

  events(stream: string): readonly Recorded[] {
    return this.streams.get(stream) ?? []
  }

  isTombstoned(stream: string): boolean {
    return this.tombstones.has(stream)
  }

  isSoftDeleted(stream: string): boolean {
    return this.metadata(stream).$tb === Number(SOFT_DELETED)
  }

  /** The stream's metadata: the last event of its metastream. */
  metadata(stream: string): StreamMetadata {
    const last = this.events(`$$${stream}`).at(-1)
    return last ? (JSON.parse(Buffer.from(last.data).toString()) as StreamMetadata) : {}
  }

  /** The first revision that reads may show. Truncation hides at once and removes nothing. */
  firstVisible(stream: string): number {
    const all = this.events(stream)
    // A metastream keeps its last event only.
    if (stream.startsWith('$$')) return Math.max(0, all.length - 1)
    const { $tb = 0, $maxCount = Infinity, $maxAge } = this.metadata(stream)
    let first = Math.max($tb, all.length - $maxCount, 0)
    if ($maxAge !== undefined) {
      const oldest = BigInt(Date.now() - $maxAge * 1000) * 10_000n
      while (first < all.length && BigInt(all[first]?.ticks ?? 0) < oldest) first += 1
    }
    return first
  }

  append(stream: string, expected: Expected, events: readonly Proposed[]): Verdict {
    if (this.tombstones.has(stream) || this.tombstones.has(stream.replace(/^\$\$/, '')))
      return { ok: false, why: 'deleted' }
    // Up to 24.10.0 only the data bytes count.
    if (events.reduce((bytes, { data }) => bytes + data.length, 0) > this.maxAppendBytes)
      return { ok: false, why: 'too-large' }

    const committed = this.events(stream).length - 1
    // What is accepted holds its place, and no reader sees it.
    const waiting = this.commits.waiting(stream)
    if (waiting && sameIds(waiting, events)) return { ok: false, why: 'uncommitted' }
    const head = committed + (waiting?.length ?? 0)
    const after = expected === 'no_stream' ? -1 : typeof expected === 'bigint' ? Number(expected) : head
    if (expected === 'stream_exists' && (head < 0 || this.isSoftDeleted(stream)))
      return head < 0 ? wrongVersion(head, expected) : { ok: false, why: 'deleted' }
    if (events.length === 0) return { ok: true, revision: Math.max(head, 0), position: undefined }
    if (after < head) {
      const replayed = this.replay(stream, after, events)
      if (replayed) return replayed
      if (expected !== 'no_stream' || !this.isSoftDeleted(stream)) return wrongVersion(head, expected)
      // NO_STREAM on a soft-deleted stream begins it again, after the old head.
    } else if (after > head || waiting) {
      return wrongVersion(head, expected)
    }
    if (this.commits.accept(stream, events, () => void this.write(stream, events)))
      return { ok: false, why: 'uncommitted' }
    return this.write(stream, events)
  }

  /** How an append that was accepted ended: success where its events stand at their place. */
  replayed(stream: string, expected: Expected, events: readonly Proposed[]): Verdict {
    const after = typeof expected === 'bigint' ? Number(expected) : -1
    return this.replay(stream, after, events) ?? wrongVersion(this.events(stream).length - 1, expected)
  }

  /**
   * Success without writing, when exactly these ids stand at exactly these revisions. Ids alone are compared, never
   * content. Where the events are hidden there is no position.
   */
  private replay(stream: string, after: number, events: readonly Proposed[]): Verdict | undefined {
    const all = this.events(stream)
    if (!events.every(({ id }, i) => all[after + 1 + i]?.id === id)) return undefined
    const last = all[after + events.length] as Recorded
    const hidden = last.revision < this.firstVisible(stream)
    return { ok: true, revision: last.revision, position: hidden ? undefined : last.position }
  }

  private write(stream: string, events: readonly Proposed[]): Verdict {
    const before = this.events(stream).length
    // Writing to a soft-deleted stream brings it back, with the old events still hidden.
    if (before > 0 && this.isSoftDeleted(stream))
      this.setMetadata(stream, { ...this.metadata(stream), $tb: before })
    for (const [i, event] of events.entries()) this.add({ ...event, stream, revision: before + i })
    this.changes.emit('changed')
    return { ok: true, revision: before + events.length - 1, position: this.log.at(-1)?.position }
  }

  /** Soft delete: hides everything, revisions go on counting. */
  softDelete(stream: string): void {
    this.setMetadata(stream, { ...this.metadata(stream), $tb: 'max' as never })
    this.changes.emit('changed')
  }

  tombstone(stream: string): void {
    this.tombstones.add(stream)
    this.persist({ tombstone: stream })
    this.changes.emit('changed')
  }

  /** The vendor's redaction tool: the data bytes become 0xFF, the rest stays, and nothing marks it. */
  redact(stream: string, revision: number): void {
    const { length } = this.events(stream)[revision]?.data ?? []
    this.overwrite(stream, revision, { data: new Uint8Array(length).fill(0xff) })
  }

  /** What an administrator with the disk could do: any bytes at all. */
  overwrite(stream: string, revision: number, change: Partial<Proposed>): void {
    const event = this.events(stream)[revision]
    if (!event) throw new Error(`${stream} has no event ${revision}`)
    const { message: _old, ...rest } = event
    const changed = { ...rest, ...change }
    this.streams.get(stream)?.splice(revision, 1, changed)
    this.log.splice(this.log.indexOf(event), 1, changed)
    this.rewrite()
  }

  /** An older backup put back: the newest `count` events of the stream are gone, and so is their trace. */
  forgetNewest(stream: string, count: number): void {
    this.streams.get(stream)?.splice(-count)
    this.rewrite()
  }

  /** Somebody with the disk wrote the stream again, whatever it held before. */
  replace(stream: string, events: readonly Proposed[]): void {
    this.streams.get(stream)?.splice(0)
    this.write(stream, events)
    this.rewrite()
  }

  private setMetadata(stream: string, metadata: StreamMetadata): void {
    // 2^63-1 has no exact JavaScript number, but the server writes it exactly.
    const text = JSON.stringify(metadata).replace('"max"', String(SOFT_DELETED))
    const metastream = `$$${stream}`
    this.add({
      id: crypto.randomUUID(),
      type: '$metadata',
      contentType: 'application/json',
      data: Buffer.from(text),
      metadata: new Uint8Array(),
      stream: metastream,
      revision: this.events(metastream).length,
    })
  }

  private add(event: Proposed & { stream: string; revision: number }): void {
    // Member by member: what is proposed may be a copy of a recorded event, with what was made of that.
    const { id, type, contentType, data, metadata, stream, revision } = event
    const position = (this.log.at(-1)?.position ?? -100) + 100
    const ticks = String(BigInt(Date.now()) * 10_000n)
    const recorded = { id, type, contentType, data, metadata, stream, revision, position, ticks }
    this.take(recorded)
    if (this.file) this.persist(forDisk(recorded))
  }

  private take(recorded: Recorded): void {
    const events = this.streams.get(recorded.stream)
    if (events) events.push(recorded)
    else this.streams.set(recorded.stream, [recorded])
    this.log.push(recorded)
  }

  private persist(line: object): void {
    if (this.file) appendFileSync(this.file, `${JSON.stringify(line)}\n`)
  }

  private rewrite(): void {
    if (!this.file) return
    const lines = [
      ...[...this.streams.values()].flat().map(forDisk),
      ...[...this.tombstones].map((tombstone) => ({ tombstone })),
    ]
    writeFileSync(this.file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  }

  private restore(line: string): void {
    const saved = JSON.parse(line) as { tombstone: string } | ReturnType<typeof forDisk>
    if ('tombstone' in saved) this.tombstones.add(saved.tombstone)
    else this.take({ ...saved, data: decode(saved.data), metadata: decode(saved.metadata) })
  }
}

function sameIds(one: readonly Proposed[], other: readonly Proposed[]): boolean {
  return one.length === other.length && one.every(({ id }, i) => id === other[i]?.id)
}

function wrongVersion(current: number, expected: Expected): Verdict {
  return { ok: false, why: 'wrong-version', current, expected }
}

const decode = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const forDisk = ({ message: _made, ...event }: Recorded) => ({
  ...event,
  data: Buffer.from(event.data).toString('base64'),
  metadata: Buffer.from(event.metadata).toString('base64'),
})
