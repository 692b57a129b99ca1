// Follows the ledger, in order, and keeps the read models up to it.

import { setTimeout as pause } from 'node:timers/promises'

import type { Logger } from 'pino'

import { GENESIS } from '../domain/ledger/entry.js'
import { type Finding, finding } from '../domain/ledger/findings.js'
import { MOST_UNSIGNED, UNSIGNED_FOR_MS, unsignedEntries } from '../domain/ledger/unsigned.js'
import { type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { type Applied, type Head, ReadModels, type Trust } from './read-models.js'
import { assertSameLedger, LedgerMismatch } from './same-ledger.js'
import type { KeysView } from './signing-keys.js'

/** caughtUpTo was asked for a size that will not be reached: the projector stopped, or was stopped. */
export class ProjectorStopped extends Error {
  constructor(reason: string) {
    super(`the read models are no longer kept up to date: ${reason}`)
    this.name = 'ProjectorStopped'
  }
}

export type ProjectorStatus =
  | { ok: true; position: number }
  /** `finding` is there when the ledger itself is at fault: then the projector has stopped for good. */
  | { ok: false; position: number; reason: string; finding?: Finding }

export interface ProjectorOptions {
  /** BROKER_AUDIT_DB_PATH. */
  readModelPath: string
  /** Whose entries are taken. */
  trust: Trust
  log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** After a failure, before the next try: doubled each time, up to sixteenfold. */
  retryMs?: number
}

interface Waiting {
  size: number
  resolve: () => void
  reject: (error: ProjectorStopped) => void
}

/**
 * One batch at a time: the next one is asked of the store when this one is committed, so a slow read model makes
 * batches longer, not a queue. This thread signs tokens: it hands texts on and looks at nothing.
 */
export class Projector {
  private readonly stopping = new AbortController()
  private running: Promise<void> = Promise.resolve()
  private starting = true
  private ended = false
  private models: ReadModels | undefined
  private at: Head = { size: 0, leafHash: GENESIS, time: '' }
  private trouble: { reason: string; finding?: Finding } | undefined = { reason: 'not started' }
  private waiting: Waiting[] = []
  private unsignedTimer: NodeJS.Timeout | undefined
  /** Whether the trouble is that entries are not signed. */
  private unsigned = false

  constructor(
    private readonly store: EventStore,
    private readonly keys: KeysView,
    private readonly options: ProjectorOptions,
  ) {}

  /**
   * Opens the read models, shows their keys to the KeysView, and follows the ledger from where they end.
   * Rejects with LedgerMismatch, ReadModelError or StoreError; then nothing runs.
   */
  async start(): Promise<void> {
    try {
      await this.connect()
    } catch (error) {
      await this.disconnect()
      throw error
    }
    this.running = this.run()
  }

  /**
   * The broker's start is over. Until then the store's first refusal stops the projector, and so the start; from now on
   * it is asked again, since the cause of a refusal may be repaired. Throws ProjectorStopped when it was stopped by then.
   */
  started(): void {
    if (this.ended) throw new ProjectorStopped(this.trouble?.reason ?? 'stopped')
    this.starting = false
  }

  /** The batch under way is committed first. */
  async stop(): Promise<void> {
    this.stopping.abort()
    await this.running
    await this.disconnect()
    this.end({ reason: 'stopped' })
  }

  /** Resolves when the first `size` entries are in the read models. Rejects with ProjectorStopped. */
  caughtUpTo(size: number): Promise<void> {
    if (this.at.size >= size) return Promise.resolve()
    if (this.stopping.signal.aborted || this.ended) {
      return Promise.reject(new ProjectorStopped(this.trouble?.reason ?? 'stopped'))
    }
    return new Promise((resolve, reject) => this.waiting.push({ size, resolve, reject }))
  }

  /** How many entries the read models hold. */
  get position(): number {
    return this.at.size
  }

  status(): ProjectorStatus {
    const position = this.at.size
    return this.trouble ? { ok: false, position, ...this.trouble } : { ok: true, position }
  }

  private async run(): Promise<void> {
    const { retryMs = 250 } = this.options
    for (let failures = 0; !this.stopping.signal.aborted;) {
      const before = this.at.size
      try {
        await this.follow()
        return
      } catch (error) {
        if (error instanceof LedgerMismatch)
          return this.end({ reason: error.message, finding: error.finding })
        if (this.starting && isRefusal(error)) return this.end({ reason: error.message })
        failures = this.at.size > before ? 1 : failures + 1
        this.report(error as Error, failures)
        // A read model that failed once is reopened; for the store's failures that costs a moment.
        await this.disconnect()
        await pausedFor(retryMs * 2 ** Math.min(failures - 1, 4), this.stopping.signal)
      }
    }
  }

  /** Until stopped, or until something fails. */
  private async follow(): Promise<void> {
    const models = this.models ?? (await this.connect())
    let unsigned: Stored[] = []
    for await (const batch of this.store.follow(this.at.size, this.stopping.signal)) {
      const rows = unsigned.length === 0 ? batch : [...unsigned, ...batch]
      const applied = await models.apply(rows)
      this.take(applied)
      if (applied.finding) return this.end(stoppedBy(applied.finding))
      unsigned = applied.unsigned ? rows.slice(-applied.unsigned) : []
      this.waitForSignature(unsigned.length)
      if (unsigned.length > MOST_UNSIGNED) return this.end(stoppedBy(this.unsignedFinding(unsigned.length)))
    }
    if (!this.stopping.signal.aborted) throw new Error('the store stopped following the ledger')
  }

  /** Ready to follow: the read models are open, and what they hold is what the ledger holds. */
  private async connect(): Promise<ReadModels> {
    const { models, applied } = await ReadModels.open(this.options.readModelPath, this.options.trust)
    this.models = models
    await assertSameLedger(this.store, applied.head, this.options.readModelPath)
    this.trouble = undefined
    this.take(applied)
    return models
  }

  /** Entries whose append is not signed are waited for a moment; then it is trouble, said once, until they are. */
  private waitForSignature(count: number): void {
    clearTimeout(this.unsignedTimer)
    this.unsignedTimer = undefined
    if (count === 0) {
      if (this.unsigned) this.trouble = undefined
      this.unsigned = false
      return
    }
    if (this.unsigned) {
      this.missSignature(count)
      return
    }
    this.unsignedTimer = setTimeout(() => {
      const { finding: found, reason } = this.missSignature(count)
      this.options.log.error({ finding: found }, `minting stops, and read models stand still: ${reason}`)
    }, UNSIGNED_FOR_MS)
  }

  private missSignature(count: number): { reason: string; finding: Finding } {
    const found = this.unsignedFinding(count)
    this.unsigned = true
    return (this.trouble = { reason: found.detail, finding: found })
  }

  private unsignedFinding(count: number): Finding {
    return finding(this.at.size, 'unsigned-entries', unsignedEntries(this.at.size, count))
  }

  private async disconnect(): Promise<void> {
    this.waitForSignature(0)
    const models = this.models
    this.models = undefined
    await models?.close()
  }

  private take({ head, keys }: Applied): void {
    this.at = head
    if (keys) this.keys.show(keys)
    if (this.waiting.length === 0) return
    const [reached, waiting] = [this.waiting.filter(({ size }) => size <= head.size), this.waiting]
    this.waiting = waiting.filter(({ size }) => size > head.size)
    for (const { resolve } of reached) resolve()
  }

  private report({ message: reason }: Error, failures: number): void {
    this.trouble = { reason }
    this.options.log.warn(
      { position: this.at.size, failures, reason },
      'read models are behind; trying again',
    )
  }

  private end(trouble: { reason: string; finding?: Finding }): void {
    // What stopped it first is what an operator must see.
    if (!this.ended) this.trouble = trouble
    this.ended = true
    if (trouble.finding) this.options.log.error({ finding: trouble.finding }, 'read models stopped')
    for (const { reject } of this.waiting.splice(0)) reject(new ProjectorStopped(trouble.reason))
  }
}

function isRefusal(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'refused'
}

function stoppedBy(found: Finding): { reason: string; finding: Finding } {
  const { index, kind, detail, advice } = found
  return { reason: `entry ${index} of the ledger (${kind}): ${detail}. ${advice}`, finding: found }
}

/** Until the time is over, or `signal` says that there is nothing to wait for. */
async function pausedFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
