import { signed } from '../../test/support/ledger-signer.js'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Worker } from 'node:worker_threads'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { dump } from '../../test/support/project.js'
import { entriesOf, Interrupted, memoryOf, Projecting } from '../../test/support/projecting.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { SqliteEventStore } from '../event-store/sqlite.js'
import { ProjectorStopped } from './projector.js'

let projecting: Projecting
beforeEach(() => {
  projecting = new Projecting()
})
afterEach(() => projecting.end())

const STORES = {
  memory: () => new MemoryEventStore(),
  SQLite: () => {
    const store = new SqliteEventStore(projecting.path('ledger'))
    projecting.later(() => store.close())
    return store
  },
}

describe.each(Object.entries(STORES))('over the %s store', (_, openStore) => {
  test('the model that grew with the ledger is the model of a replay, row by row', async () => {
    const store = openStore()
    const { projector } = projecting.over(store)
    await projector.start()
    const entries = entriesOf(3_000)
    for (let at = 0, step = 1; at < entries.length; at += step, step = (step * 7) % 97) {
      await store.append(signed(entries.slice(at, at + step)), at)
      if (step % 3 === 0) await projector.caughtUpTo(at)
    }
    await projector.caughtUpTo(entries.length)

    expect(projector.status()).toEqual({ ok: true, position: 3_000 })
    await projector.stop()
    const live = dump(projecting.path())
    expect(live['position']).toEqual([
      { id: 1, size: 3_000, leaf_hash: entries.at(-1)?.leafHash, time: entries.at(-1)?.entry.time },
    ])
    expect(live['mints']?.length).toBeGreaterThan(1_000)
    expect(live).toEqual(await projecting.replayed(store))
  })

  test('a projector that stopped goes on where it was', async () => {
    const store = openStore()
    const entries = entriesOf(2_000)
    await store.append(signed(entries.slice(0, 1_234)), 0)
    const first = projecting.over(store).projector
    await first.start()
    await first.caughtUpTo(1_234)
    await first.stop()
    const second = projecting.over(store).projector
    await second.start()
    expect(second.position).toBe(1_234)
    await store.append(signed(entries.slice(1_234)), 1_234)
    await second.caughtUpTo(2_000)
    await second.stop()
    expect(dump(projecting.path())).toEqual(await projecting.replayed(store))
  })
})

describe('when the thread of the read models dies', () => {
  test('between and in batches, rows and position stay together: a new thread goes on, and the model is that of a replay', async () => {
    const store = await memoryOf(entriesOf(8_000))
    const { projector } = projecting.over(store)
    let killed = 0
    const kill = (message: unknown) => {
      const { worker } = message as { worker: Worker }
      // The first answer is the open file, the second the first batch: the thread dies in the next one.
      let answers = 0
      worker.on('message', () => {
        answers += 1
        if (killed < 4 && answers === 2) {
          killed += 1
          void worker.terminate()
        }
      })
    }
    subscribe('worker_threads', kill)
    try {
      await projector.start()
      await projector.caughtUpTo(8_000)
    } finally {
      unsubscribe('worker_threads', kill)
    }
    expect(killed).toBe(4)
    expect(projector.status()).toEqual({ ok: true, position: 8_000 })
    await projector.stop()
    expect(dump(projecting.path())).toEqual(await projecting.replayed(store))
  })
})

test('while the store is away the status says so, the keys still answer, and all goes on afterwards by itself', async () => {
  const entries = entriesOf(60)
  const store = new Interrupted(await memoryOf(entries.slice(0, 50)))
  const { projector, keys, warned } = projecting.over(store)
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
  await store.append(signed(entries.slice(50)), 50)
  await projector.caughtUpTo(60)
  expect(projector.status()).toEqual({ ok: true, position: 60 })
})

describe('a store that refuses to be followed', () => {
  const refusal = 'does not know this user and password'

  test('ends the start: callers that wait, and callers that ask afterwards, get the reason', async () => {
    const store = new Interrupted(await memoryOf(entriesOf(10)))
    const { projector } = projecting.over(store)
    store.refusal = refusal
    await projector.start()
    const stopped = expect.objectContaining({
      name: 'ProjectorStopped',
      message: expect.stringContaining(refusal),
    })
    await expect(projector.caughtUpTo(10)).rejects.toEqual(stopped)
    await expect(projector.caughtUpTo(10)).rejects.toEqual(stopped)
    expect(() => projector.started()).toThrow(refusal)
    expect(projector.status()).toEqual({ ok: false, position: 0, reason: refusal })
  })

  test('ends the start where the read models are up to date already', async () => {
    const store = new Interrupted(await memoryOf(entriesOf(10)))
    const first = projecting.over(store).projector
    await first.start()
    await first.caughtUpTo(10)
    await first.stop()
    const { projector } = projecting.over(store)
    store.refusal = refusal
    await projector.start()
    await expect(projector.caughtUpTo(11)).rejects.toThrow(refusal)
    expect(() => projector.started()).toThrow(refusal)
  })

  test('is asked again once the start is over, until it no longer refuses', async () => {
    const entries = entriesOf(20)
    const store = new Interrupted(await memoryOf(entries.slice(0, 10)))
    const { projector, warned } = projecting.over(store)
    await projector.start()
    await projector.caughtUpTo(10)
    projector.started()
    store.refusal = refusal
    const noticed = warned()
    store.interrupt()
    await noticed
    await warned()
    expect(projector.status()).toEqual({ ok: false, position: 10, reason: refusal })
    await store.append(signed(entries.slice(10)), 10)
    store.refusal = undefined
    await projector.caughtUpTo(20)
    expect(projector.status()).toEqual({ ok: true, position: 20 })
  })
})

describe('the keys in memory', () => {
  test('are there when start resolves, from the file, and follow the ledger from then on', async () => {
    const ledger = LedgerBuilder.opened()
    const [kid] = [ledger.kid]
    const store = await memoryOf(ledger.entries)
    const first = projecting.over(store)
    await first.projector.start()
    await first.projector.caughtUpTo(4)
    await first.projector.stop()

    const { projector, keys } = projecting.over(store)
    await projector.start()
    expect(keys.activeKid()).toBe(kid)
    const before = keys.jwks()
    ledger.oidcMint()
    await store.append(signed(ledger.entries.slice(4)), 4)
    await projector.caughtUpTo(6)
    expect(keys.jwks()).toBe(before)
    ledger.publishKey('next').activateKey().retireKey(kid)
    await store.append(signed(ledger.entries.slice(6)), 6)
    await projector.caughtUpTo(9)
    expect([keys.activeKid(), keys.jwks().keys.map((key) => key.kid)]).toEqual(['next', [kid, 'next']])
  })
})

test('stop ends the waiting of those who waited, and can be called twice', async () => {
  const { projector } = projecting.over(await memoryOf(entriesOf(10)))
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
  const { projector } = projecting.over(store)
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
