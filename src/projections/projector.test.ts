import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Worker } from 'node:worker_threads'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { LedgerBuilder, ledgerOf } from '../../test/support/ledger-builder.js'
import { dump } from '../../test/support/project.js'
import { canonicalize, type Json } from '../domain/ledger/canonical.js'
import { chain, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { SqliteEventStore } from '../event-store/sqlite.js'
import { LedgerMismatch, Projector, ProjectorStopped } from './projector.js'
import { KeysView } from './signing-keys.js'

let folder: string
const cleanup: (() => Promise<void>)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'projector-'))
})
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
  rmSync(folder, { recursive: true })
})

const readModel = (name = 'audit') => join(folder, `${name}.sqlite`)

/** A projector, and promises of what it logs next. */
function projecting(store: EventStore, name?: string) {
  const keys = new KeysView(() => new Date('2026-11-20T12:00:00.000Z'))
  const logged: { warned: () => void; failed: () => void } = {
    warned: () => undefined,
    failed: () => undefined,
  }
  const log = { info: () => undefined, warn: () => logged.warned(), error: () => logged.failed() }
  const projector = new Projector(store, keys, { readModelPath: readModel(name), log, retryMs: 1 })
  cleanup.push(() => projector.stop())
  const warned = () => new Promise<void>((resolve) => (logged.warned = resolve))
  const failed = () => new Promise<void>((resolve) => (logged.failed = resolve))
  return { projector, keys, warned, failed }
}

/** The read model made of the whole store at once, from entry 0. */
async function replayed(store: EventStore, name = 'replayed') {
  const { projector } = projecting(store, name)
  await projector.start()
  await projector.caughtUpTo(await store.size())
  await projector.stop()
  return dump(readModel(name))
}

function entriesOf(size: number, seed?: number): Sealed[] {
  return [...ledgerOf(size, seed)].flat()
}

async function memoryOf(entries: readonly Sealed[]): Promise<MemoryEventStore> {
  const store = new MemoryEventStore()
  if (entries.length > 0) await store.append(entries, 0)
  return store
}

const STORES = {
  memory: () => new MemoryEventStore(),
  SQLite: () => {
    const store = new SqliteEventStore(join(folder, 'ledger.sqlite'))
    cleanup.push(() => store.close())
    return store
  },
}

describe.each(Object.entries(STORES))('over the %s store', (_, openStore) => {
  test('the model that grew with the ledger is the model of a replay, row by row', async () => {
    const store = openStore()
    const { projector } = projecting(store)
    await projector.start()
    const entries = entriesOf(3_000)
    for (let at = 0, step = 1; at < entries.length; at += step, step = (step * 7) % 97) {
      await store.append(entries.slice(at, at + step), at)
      if (step % 3 === 0) await projector.caughtUpTo(at)
    }
    await projector.caughtUpTo(entries.length)

    expect(projector.status()).toEqual({ ok: true, position: 3_000 })
    expect(projector.head).toEqual({ size: 3_000, leafHash: entries.at(-1)?.leafHash })
    await projector.stop()
    const live = dump(readModel())
    expect(live['position']).toEqual([
      { id: 1, size: 3_000, leaf_hash: entries.at(-1)?.leafHash, time: entries.at(-1)?.entry.time },
    ])
    expect(live['mints']?.length).toBeGreaterThan(1_000)
    expect(live).toEqual(await replayed(store))
  })

  test('a projector that stopped goes on where it was', async () => {
    const store = openStore()
    const entries = entriesOf(2_000)
    await store.append(entries.slice(0, 1_234), 0)
    const first = projecting(store).projector
    await first.start()
    await first.caughtUpTo(1_234)
    await first.stop()
    const second = projecting(store).projector
    await second.start()
    expect(second.position).toBe(1_234)
    await store.append(entries.slice(1_234), 1_234)
    await second.caughtUpTo(2_000)
    await second.stop()
    expect(dump(readModel())).toEqual(await replayed(store))
  })
})

describe('when the thread of the read models dies', () => {
  test('between and in batches, rows and position stay together: a new thread goes on, and the model is that of a replay', async () => {
    const store = await memoryOf(entriesOf(12_000))
    const { projector } = projecting(store)
    let killed = 0
    const kill = (message: unknown) => {
      const { worker } = message as { worker: Worker }
      // Its first answer is the open file, the next ones are batches: each thread dies a little later than the last.
      let answers = 0
      worker.on('message', () => {
        answers += 1
        if (killed < 4 && answers === 2 + killed) {
          killed += 1
          void worker.terminate()
        }
      })
    }
    subscribe('worker_threads', kill)
    try {
      await projector.start()
      await projector.caughtUpTo(12_000)
    } finally {
      unsubscribe('worker_threads', kill)
    }
    expect(killed).toBe(4)
    expect(projector.status()).toEqual({ ok: true, position: 12_000 })
    await projector.stop()
    expect(dump(readModel())).toEqual(await replayed(store))
  }, 120_000)
})

describe('a ledger that is not the one the read model was made of', () => {
  async function caughtUp(entries: readonly Sealed[]): Promise<void> {
    const { projector } = projecting(await memoryOf(entries))
    await projector.start()
    await projector.caughtUpTo(entries.length)
    await projector.stop()
  }

  async function refusalOf(store: EventStore): Promise<LedgerMismatch> {
    const { projector } = projecting(store)
    const error: unknown = await projector.start().then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(error).toBeInstanceOf(LedgerMismatch)
    expect(projector.status()).toEqual({ ok: false, position: 0, reason: 'not started' })
    return error as LedgerMismatch
  }

  test('because its end was cut off is refused at start, with what is missing and what to do', async () => {
    const entries = entriesOf(100)
    await caughtUp(entries)
    const { finding, message } = await refusalOf(await memoryOf(entries.slice(0, 97)))
    expect([finding.kind, finding.index]).toEqual(['cut-off', 97])
    expect(message).toContain('has 97 entries, and the read model was made of 100')
    expect(message).toContain(`up to entry 99 with the leaf hash ${entries[99]?.leafHash}`)
    expect(message).toContain('restore the missing entries')
    expect(message).toContain(`If the read model ${readModel()} belongs to another ledger, move it away`)
  })

  test('because it is empty is refused at start', async () => {
    await caughtUp(entriesOf(10))
    const { finding } = await refusalOf(new MemoryEventStore())
    expect([finding.kind, finding.index]).toEqual(['cut-off', 0])
  })

  test('because its last entry was replaced is refused at start, with both hashes', async () => {
    const entries = entriesOf(100)
    await caughtUp(entries)
    const event: LedgerEvent = {
      type: 'BrokerStarted',
      data: { node: 'evil', version: '1', configSha256: 'f'.repeat(64) },
    }
    const other = chain(entries[98], event, new Date())
    const { finding, message } = await refusalOf(await memoryOf([...entries.slice(0, 99), other]))
    expect([finding.kind, finding.index]).toEqual(['other-head', 99])
    expect(message).toContain(
      `entry 99 has the leaf hash ${other.leafHash}, and the read model was made of one with ${entries[99]?.leafHash}`,
    )
  })

  test('leaves the read model as it was: with the ledger restored, it goes on', async () => {
    const entries = entriesOf(100)
    await caughtUp(entries.slice(0, 50))
    const before = dump(readModel())
    await refusalOf(await memoryOf(entries.slice(0, 20)))
    expect(dump(readModel())).toEqual(before)
    await caughtUp(entries)
    expect(dump(readModel())).toEqual(await replayed(await memoryOf(entries)))
  })

  test('is found when the store comes back without its end, not only at start', async () => {
    const entries = entriesOf(100)
    const store = new Interrupted(await memoryOf(entries))
    const { projector, failed } = projecting(store)
    await projector.start()
    await projector.caughtUpTo(100)
    const found = failed()
    store.behind = await memoryOf(entries.slice(0, 42))
    store.interrupt()
    await found
    const status = projector.status()
    expect(status).toMatchObject({ ok: false, position: 100, finding: { kind: 'cut-off', index: 42 } })
  })
})

describe('an entry that is no entry, or does not follow', () => {
  const ledger = LedgerBuilder.opened().oidcMint().awsMint()
  const good = ledger.entries
  const [fourth, fifth] = [good[4] as Sealed, good[5] as Sealed]
  const at5 = (text: string): Sealed => ({ ...fifth, text })
  const forged = (change: object) => at5(canonicalize({ ...fifth.entry, ...change } as unknown as Json))
  const BAD = [
    ['malformed', at5('{"data":'), 'not JSON'],
    ['malformed', at5(''), 'not JSON'],
    ['not-canonical', at5(`${fifth.text} `), 'RFC 8785'],
    ['too-large', forged({ data: { x: 'x'.repeat(70_000) } }), 'longer than 65535 bytes'],
    ['wrong-index', at5(fourth.text), 'index 4'],
    ['broken-link', forged({ prev: 'a'.repeat(64) }), `leaf hash ${fourth.leafHash}`],
    ['time-backwards', forged({ time: '2020-01-01T00:00:00.000Z' }), 'is before'],
    ['wrong-shape', forged({ data: { ...fifth.entry.data, wallet: '0xABC' } }), 'wallet must be'],
    ['wrong-shape', forged({ type: 'CredsMinted' }), 'CredsMinted: '],
  ] as const

  test.each(BAD)(
    '%s: stops the projector at that entry, with what came before it applied',
    async (kind, bad, detail) => {
      const store = await memoryOf([...good.slice(0, 5), bad, ...good.slice(6)])
      const { projector, keys, failed } = projecting(store)
      const found = failed()
      await projector.start()
      await found

      const status = projector.status()
      expect(status).toMatchObject({ ok: false, position: 5, finding: { index: 5, kind } })
      expect(status.ok ? '' : status.reason).toContain(`entry 5 of the ledger (${kind}): `)
      expect(status.ok ? '' : status.reason).toContain(detail)
      expect(keys.activeKid()).toBe(ledger.kid)
      await expect(projector.caughtUpTo(6)).rejects.toThrow(ProjectorStopped)
      await projector.stop()
      expect(dump(readModel())).toEqual(await replayed(await memoryOf(good.slice(0, 5))))
      expect(projector.status()).toMatchObject({ ok: false, finding: { index: 5, kind } })
    },
  )

  test('rejects those who wait for more than will come', async () => {
    const { projector } = projecting(await memoryOf([...good.slice(0, 5), at5('x')]))
    const waiting = projector.caughtUpTo(7)
    await projector.start()
    await expect(waiting).rejects.toThrow(ProjectorStopped)
  })

  test('an event of a type that only a later version knows is passed over', async () => {
    const later = { type: 'CoffeeBrewed', data: { cups: 2 } } as unknown as LedgerEvent
    const mint = ledger.mint()
    const seen = LedgerBuilder.opened().append(later).oidcMint(mint)
    const { projector } = projecting(await memoryOf(seen.entries))
    await projector.start()
    await projector.caughtUpTo(seen.entries.length)
    await projector.stop()
    expect(dump(readModel())['mints']).toMatchObject([
      { mint_id: mint.mintId, first_index: 5, last_index: 6 },
    ])
  })
})

/** A store whose followers can be cut off: then it answers nothing until it is restored. */
class Interrupted extends MemoryEventStore {
  down = false
  private line = new AbortController()

  constructor(public behind: MemoryEventStore) {
    super()
  }

  interrupt(): void {
    this.line.abort()
    this.line = new AbortController()
  }

  override append(entries: readonly Sealed[], expectedSize: number): Promise<void> {
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
    const line = this.line.signal
    yield* this.behind.follow(from, AbortSignal.any([signal, line]))
    if (line.aborted) throw new StoreError('unavailable', 'the connection was lost')
  }
}

test('while the store is away the status says so, the keys still answer, and all goes on afterwards by itself', async () => {
  const entries = entriesOf(60)
  const store = new Interrupted(await memoryOf(entries.slice(0, 50)))
  const { projector, keys, warned } = projecting(store)
  await projector.start()
  await projector.caughtUpTo(50)
  store.down = true
  const noticed = warned()
  store.interrupt()
  await noticed
  expect(projector.status()).toEqual({ ok: false, position: 50, reason: 'the connection was lost' })
  await warned()
  expect(projector.status()).toMatchObject({ ok: false, reason: 'no connection to the node' })
  expect(keys.jwks().keys.length).toBe(1)

  store.down = false
  await store.append(entries.slice(50), 50)
  await projector.caughtUpTo(60)
  expect(projector.status()).toEqual({ ok: true, position: 60 })
})

describe('the keys in memory', () => {
  test('are there when start resolves, from the file, and follow the ledger from then on', async () => {
    const ledger = LedgerBuilder.opened()
    const [kid] = [ledger.kid]
    const store = await memoryOf(ledger.entries)
    const first = projecting(store)
    await first.projector.start()
    await first.projector.caughtUpTo(4)
    await first.projector.stop()

    const { projector, keys } = projecting(store)
    await projector.start()
    expect(keys.activeKid()).toBe(kid)
    const before = keys.jwks()
    ledger.oidcMint()
    await store.append(ledger.entries.slice(4), 4)
    await projector.caughtUpTo(6)
    expect(keys.jwks()).toBe(before)
    ledger.publishKey('next').activateKey().retireKey(kid)
    await store.append(ledger.entries.slice(6), 6)
    await projector.caughtUpTo(9)
    expect([keys.activeKid(), keys.jwks().keys.map((key) => key.kid)]).toEqual(['next', [kid, 'next']])
  })
})

describe('the read-model file', () => {
  test('is readable for its owner alone, like its -wal', async () => {
    const { projector } = projecting(await memoryOf(entriesOf(10)))
    await projector.start()
    await projector.caughtUpTo(10)
    const modes = ['', '-wal', '-shm'].map((suffix) => statSync(readModel() + suffix).mode & 0o777)
    expect(modes).toEqual([0o600, 0o600, 0o600])
  })

  test('of another version is made anew from entry 0', async () => {
    const store = await memoryOf(entriesOf(500))
    const expected = await replayed(store, 'audit')
    const old = new Sqlite(readModel())
    old.exec('DROP TABLE mints; CREATE TABLE mints (old TEXT); UPDATE position SET size = 400')
    old.pragma('user_version = 999')
    old.close()
    expect(await replayed(store, 'audit')).toEqual(expected)
  })

  test("that is somebody else's database is refused and left as it is: the original broker's, by its default path", async () => {
    const original = new Sqlite(readModel())
    original.exec(
      "CREATE TABLE mint_log (id INTEGER PRIMARY KEY, outcome TEXT); INSERT INTO mint_log VALUES (1, 'ok')",
    )
    original.close()
    const before = readFileSync(readModel())
    await expect(projecting(await memoryOf(entriesOf(10))).projector.start()).rejects.toMatchObject({
      name: 'ReadModelError',
      code: 'refused',
      message: expect.stringContaining("is not this broker's read model"),
    })
    expect(readFileSync(readModel()).equals(before)).toBe(true)
  })

  test('that is no database is refused with the remedy', async () => {
    writeFileSync(readModel(), 'minutes of the meeting\n'.repeat(100))
    await expect(projecting(await memoryOf(entriesOf(10))).projector.start()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('once moved away it is made anew from the ledger'),
    })
  })

  test('whose making was cut short by a crash is made again', async () => {
    const store = await memoryOf(entriesOf(50))
    const half = new Sqlite(readModel())
    half.pragma(`application_id = ${0x41674b52}`)
    half.close()
    expect(await replayed(store, 'audit')).toEqual(await replayed(store))
  })
})

test('stop ends the waiting of those who waited, and can be called twice', async () => {
  const { projector } = projecting(await memoryOf(entriesOf(10)))
  await projector.start()
  const waiting = projector.caughtUpTo(11)
  const rejected = expect(waiting).rejects.toThrow(ProjectorStopped)
  await projector.stop()
  await projector.stop()
  await rejected
  await expect(projector.caughtUpTo(11)).rejects.toThrow(ProjectorStopped)
  expect(projector.status()).toEqual({ ok: false, position: 10, reason: 'stopped' })
})

test('50,000 entries: how fast, and what it costs the main thread', async () => {
  const store = await memoryOf(entriesOf(50_000))
  const { projector } = projecting(store)
  await projector.start()
  const [startedAt, before] = [performance.now(), performance.eventLoopUtilization()]
  await projector.caughtUpTo(50_000)
  const ms = performance.now() - startedAt
  const { active } = performance.eventLoopUtilization(before)
  process.stdout.write(
    `read models: ${Math.round(50_000_000 / ms)} entries/s; main thread busy ${active.toFixed(0)} of ${ms.toFixed(0)} ms, ` +
      `${((active * 1000) / 50_000).toFixed(2)} µs an entry\n`,
  )
  expect(projector.position).toBe(50_000)
})
