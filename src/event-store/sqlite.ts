import { EventEmitter, once } from 'node:events'
import { Worker } from 'node:worker_threads'

import type { Sealed } from '../domain/ledger/entry.js'
import { EventStore, StoreError, type Stored, type StoreErrorCode } from './event-store.js'

/** What sqlite.worker.ts is asked, and what it answers. */
export type Ask =
  | { op: 'append'; expectedSize: number; texts: string[] }
  | { op: 'size' }
  | { op: 'read'; from: number; limit: number }
export type Answer =
  { ok: true; value: number | string[] } | { ok: false; code: StoreErrorCode; message: string }

interface Waiting {
  resolve: (value: number | string[]) => void
  reject: (error: StoreError) => void
}

/** How many of the latest entries are handed to followers from memory instead of being read again. */
const RECENT = 4096
const PAGE = 1000
/** Many groups. V8 takes what it is allowed before it tidies up. */
const MEMORY = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 }
/** How soon entries that another process wrote into the file are noticed. */
const POLL_MS = 250

/**
 * The embedded ledger: one SQLite file, in a thread of its own, so that a slow disk holds up appends and nothing else.
 * Append-only by construction (sqlite.worker.ts), durable by WAL with synchronous=FULL.
 */
export class SqliteEventStore extends EventStore {
  readonly description: string
  private worker: Worker | undefined
  private readonly waiting = new Map<number, Waiting>()
  private lastId = 0
  private readonly grown = new EventEmitter().setMaxListeners(0)
  private recent: Stored[] = []
  private closed = false

  constructor(private readonly path: string) {
    super()
    this.description = `sqlite:${path}`
  }

  async append(entries: readonly Sealed[], expectedSize: number): Promise<void> {
    await this.ask({ op: 'append', expectedSize, texts: entries.map(({ text }) => text) })
    this.remember(entries, expectedSize)
    this.grown.emit('grown')
  }

  async size(): Promise<number> {
    return (await this.ask({ op: 'size' })) as number
  }

  async read(from: number, limit: number): Promise<Stored[]> {
    const texts = (await this.ask({ op: 'read', from, limit })) as string[]
    return texts.map((text, i) => ({ index: from + i, text }))
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    for (let next = from; !signal.aborted;) {
      const batch = this.fromMemory(next) ?? (await this.read(next, PAGE))
      if (batch.length > 0) {
        next += batch.length
        yield batch
      } else {
        await this.growth(signal)
      }
    }
  }

  async close(): Promise<void> {
    this.closed = true
    this.grown.emit('grown')
    const worker = this.worker
    if (!worker) return
    // The worker answers what it was asked before it closes the file and ends.
    const ended = once(worker, 'exit')
    worker.postMessage('close')
    await ended
  }

  private remember(entries: readonly Sealed[], first: number): void {
    const last = this.recent.at(-1)
    if (last && last.index + 1 !== first) this.recent = []
    for (const { entry, text } of entries) this.recent.push({ index: entry.index, text })
    if (this.recent.length > 2 * RECENT) this.recent = this.recent.slice(-RECENT)
  }

  private fromMemory(next: number): Stored[] | undefined {
    const first = this.recent[0]
    if (!first || next < first.index) return undefined
    const at = next - first.index
    return at < this.recent.length ? this.recent.slice(at, at + PAGE) : undefined
  }

  private async growth(signal: AbortSignal): Promise<void> {
    const poll = AbortSignal.timeout(POLL_MS)
    try {
      await once(this.grown, 'grown', { signal: AbortSignal.any([signal, poll]) })
    } catch (error) {
      if (!signal.aborted && !poll.aborted) throw error
    }
  }

  private ask(ask: Ask): Promise<number | string[]> {
    if (this.closed) return Promise.reject(new StoreError('unavailable', 'the ledger is closed'))
    const worker = (this.worker ??= this.start())
    const id = (this.lastId += 1)
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      worker.postMessage({ id, ask })
    })
  }

  private start(): Worker {
    const worker = new Worker(new URL('./sqlite.worker.js', import.meta.url), {
      workerData: this.path,
      resourceLimits: MEMORY,
    })
    worker.on('message', ({ id, answer }: { id: number; answer: Answer }) => {
      const waiting = this.waiting.get(id)
      this.waiting.delete(id)
      if (answer.ok) waiting?.resolve(answer.value)
      else waiting?.reject(new StoreError(answer.code, answer.message))
    })
    worker.on('error', (cause) => this.lose(worker, cause))
    worker.on('exit', () => this.lose(worker, undefined))
    return worker
  }

  /** The thread ended with questions unanswered: what it was writing may be written. The next question starts a new one. */
  private lose(worker: Worker, cause: unknown): void {
    if (this.worker !== worker) return
    this.worker = undefined
    const lost = [...this.waiting.values()]
    this.waiting.clear()
    for (const { reject } of lost) reject(new StoreError('unknown', 'the ledger thread ended', { cause }))
  }
}
