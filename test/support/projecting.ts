// Projectors over read models in a folder of their own, for one test.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import {
  type EntryToAppend,
  type EventStore,
  StoreError,
  type Stored,
} from '../../src/event-store/event-store.js'
import { MemoryEventStore } from '../../src/event-store/memory.js'
import { Projector } from '../../src/projections/projector.js'
import { KeysView } from '../../src/projections/signing-keys.js'
import { ledgerOf } from './ledger-builder.js'
import { SIGNATURES, signedEntry, SIGNER } from './ledger-signer.js'
import { dump } from './project.js'

export class Projecting {
  readonly folder = mkdtempSync(join(tmpdir(), 'projector-'))
  private readonly cleanup: (() => Promise<void>)[] = []

  path(name = 'audit'): string {
    return join(this.folder, `${name}.sqlite`)
  }

  /** A projector into the read model `name`, and promises of what it logs next. */
  over(store: EventStore, name?: string) {
    const keys = new KeysView(() => new Date('2026-11-20T12:00:00.000Z'), SIGNATURES)
    const logged = { warned: (): void => undefined, failed: (): void => undefined }
    const log = { info: () => undefined, warn: () => logged.warned(), error: () => logged.failed() }
    const projector = new Projector(store, keys, {
      readModelPath: this.path(name),
      trust: { ledgerKey: SIGNER.key },
      log,
      retryMs: 1,
    })
    this.cleanup.push(() => projector.stop())
    const warned = () => new Promise<void>((resolve) => (logged.warned = resolve))
    const failed = () => new Promise<void>((resolve) => (logged.failed = resolve))
    return { projector, keys, warned, failed }
  }

  /** The read model `name` once it holds all of the store. A new name: a replay from entry 0. */
  async replayed(store: EventStore, name = 'replayed'): Promise<Record<string, unknown[]>> {
    const { projector } = this.over(store, name)
    await projector.start()
    await projector.caughtUpTo(await store.size())
    await projector.stop()
    return dump(this.path(name))
  }

  /** Does `step` before the folder goes. */
  later(step: () => Promise<void>): void {
    this.cleanup.push(step)
  }

  async end(): Promise<void> {
    for (const step of this.cleanup.splice(0).reverse()) await step()
    rmSync(this.folder, { recursive: true })
  }
}

export function entriesOf(size: number): Sealed[] {
  return [...ledgerOf(size)].flat()
}

export async function memoryOf(entries: readonly Sealed[]): Promise<MemoryEventStore> {
  const store = new MemoryEventStore()
  if (entries.length > 0)
    await store.append(
      entries.map((entry) => signedEntry(entry)),
      0,
    )
  return store
}

/** A store whose followers can be cut off: then it answers nothing until it is restored. */
export class Interrupted extends MemoryEventStore {
  down = false
  /** What its followers are refused with. */
  refusal: string | undefined
  private line = new AbortController()

  constructor(public behind: MemoryEventStore) {
    super()
  }

  interrupt(): void {
    this.line.abort()
    this.line = new AbortController()
  }

  override append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    return this.behind.append(entries, expectedSize)
  }

  override async size(): Promise<number> {
    if (this.down) throw new StoreError('unavailable', 'no connection to the node')
    return this.behind.size()
  }

  override read(from: number, limit: number): Promise<Stored[]> {
    return this.behind.read(from, limit)
  }

  override async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    if (this.refusal !== undefined) throw new StoreError('refused', this.refusal)
    const line = this.line.signal
    yield* this.behind.follow(from, AbortSignal.any([signal, line]))
    if (line.aborted) throw new StoreError('unavailable', 'the connection was lost')
  }
}
