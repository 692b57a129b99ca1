// Every way an append can go wrong between the broker and EventStoreDB. After each, the ledger holds the entries once.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { MAX_APPEND_ENTRIES, type EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import { eventId } from '../../src/event-store/eventstoredb/event.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import type { AppendFault } from '../support/eventstoredb/faults.js'
import { appendUntilSettled, openStore, readAll, STREAM, textsOf } from '../support/eventstoredb/ledger.js'
import { StandInProcess } from '../support/eventstoredb/process.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { freePort } from '../support/free-port.js'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** How long an append may take: many of these are never answered. */
const PATIENCE_MS = 3_000

function opened(url: string, node?: string): EventStoreDbEventStore {
  const store = openStore(url, { ...(node === undefined ? {} : { node }), patienceMs: PATIENCE_MS })
  cleanup.push(() => store.close())
  return store
}

const entries = entriesFrom(undefined, 6)
const [first, second] = [entries.slice(0, 3), entries.slice(3)]

describe('over the stand-in', () => {
  let standIn: StandIn
  let store: EventStoreDbEventStore
  beforeEach(async () => {
    standIn = await new StandIn().start()
    cleanup.push(() => standIn.dispose())
    store = opened(standIn.url)
    await appendUntilSettled(store, first, 0)
  })

  const faults: { fault: AppendFault; code: 'unknown' | 'unavailable'; written: boolean }[] = [
    { fault: 'swallow', code: 'unknown', written: false },
    { fault: 'reset', code: 'unknown', written: false },
    { fault: 'unavailable', code: 'unknown', written: false },
    { fault: 'internal', code: 'unknown', written: false },
    { fault: 'commit-then-lose-the-reply', code: 'unknown', written: true },
    { fault: 'commit-then-time-out', code: 'unknown', written: true },
    { fault: 'commit-then-end-quietly', code: 'unknown', written: true },
    { fault: 'commit-then-say-nothing', code: 'unknown', written: true },
    { fault: 'commit-then-swallow', code: 'unknown', written: true },
    { fault: 'end-quietly', code: 'unknown', written: false },
    { fault: 'busy', code: 'unavailable', written: false },
    { fault: 'not-ready', code: 'unavailable', written: false },
    { fault: 'no-leader-info', code: 'unavailable', written: false },
  ]
  test.each(faults)('$fault: the append is $code, and the same append again stores it once', async (row) => {
    standIn.appends.next(row.fault)
    await expect(store.append(second, 3)).rejects.toMatchObject({ name: 'StoreError', code: row.code })
    expect(standIn.database.events(STREAM)).toHaveLength(row.written ? 6 : 3)

    await appendUntilSettled(store, second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
    expect(standIn.calls).not.toContain('batchAppend')
  })

  test('half an append was written: the same append again is a conflict, since not all of it is there', async () => {
    const four = entriesFrom(first[2], 4)
    standIn.appends.next('commit-half-then-time-out')
    await expect(store.append(four, 3)).rejects.toMatchObject({ code: 'unknown' })
    await expect(store.append(four, 3)).rejects.toMatchObject({ code: 'conflict' })
    await store.append(four.slice(2), 5)
    expect(textsOf(await readAll(store))).toEqual(textsOf([...first, ...four]))
  })

  test('a disk slower than the deadline: two attempts are under way, and one of them is stored', async () => {
    standIn.applyDelayMs = () => PATIENCE_MS + 500
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    standIn.applyDelayMs = () => 0
    await appendUntilSettled(store, second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })

  test('cut off in the middle of a large append: nothing of it is there, and then all of it', async () => {
    const large = entriesFrom(first[2], 8, 'x'.repeat(60_000))
    standIn.appends.next('reset')
    await expect(store.append(large, 3)).rejects.toMatchObject({ code: 'unknown' })
    expect(standIn.database.events(STREAM)).toHaveLength(3)
    await appendUntilSettled(store, large, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf([...first, ...large]))
  })

  test('while an earlier attempt is in doubt, a node that is down makes it no less so', async () => {
    standIn.appends.next('commit-then-time-out')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    standIn.appends.next('busy')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    await store.append(second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })

  test('a place in doubt that another broker took is a conflict', async () => {
    standIn.appends.next('swallow')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    const theirs = entriesFrom(first[2], 2, 'another')
    await appendUntilSettled(opened(standIn.url, 'n2'), theirs, 3)
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'conflict' })
    expect(textsOf(await readAll(store))).toEqual(textsOf([...first, ...theirs]))
  })

  test('a repeated append that is confirmed by its ids, over other content, is not believed', async () => {
    standIn.appends.next('commit-then-time-out')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    standIn.database.overwrite(STREAM, 4, { data: Buffer.from('{"forged":true}') })
    await expect(store.append(second, 3)).rejects.toMatchObject({
      code: 'refused',
      message:
        'EventStoreDB confirmed the append but holds other entries in its place; stop all brokers, run verify-ledger ' +
        'with the newest last-checkpoint of any broker, and restore the nodes from a backup that verifies',
    })
  })

  test('a repeated append whose ids the server no longer knows is found by reading', async () => {
    standIn.appends.next('commit-then-time-out')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    standIn.database.overwrite(STREAM, 3, { id: crypto.randomUUID() })
    await store.append(second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })

  test('entries that are stored but hidden are not confirmed', async () => {
    standIn.appends.next('commit-then-time-out')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    standIn.database.softDelete(STREAM)
    await expect(store.append(second, 3)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(
        /^the entries are stored but hidden: the stream was truncated or soft-deleted; an administrator takes/,
      ),
    })
  })

  test('a soft-deleted ledger is not begun again', async () => {
    standIn.database.softDelete(STREAM)
    await expect(store.append(first, 0)).rejects.toMatchObject({ code: 'refused' })
    await expect(store.append(entriesFrom(undefined, 2, 'new'), 0)).rejects.toMatchObject({ code: 'refused' })
    expect(standIn.database.events(STREAM)).toHaveLength(3)
  })

  test('a ledger soft-deleted in the very moment of the first append: the entries went to another place', async () => {
    standIn.applyDelayMs = () => {
      standIn.database.softDelete(STREAM)
      return 0
    }
    await expect(store.append(entriesFrom(undefined, 2, 'new'), 0)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(
        /^the entries were stored up to revision 4 instead of 1: the stream was deleted or truncated; an administrator/,
      ),
    })
  })

  test('a tombstoned ledger is refused', async () => {
    standIn.database.tombstone(STREAM)
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'refused' })
  })

  test('more than one append may hold is refused before it is sent; more than the server takes, by the server', async () => {
    const calls = standIn.calls.length
    const many = entriesFrom(first[2], MAX_APPEND_ENTRIES + 1)
    await expect(store.append(many, 3)).rejects.toMatchObject({ code: 'refused' })
    const large = entriesFrom(first[2], 10, 'x'.repeat(60_000))
    await expect(store.append(large, 3)).rejects.toMatchObject({ code: 'refused' })
    expect(standIn.calls).toHaveLength(calls)

    standIn.database.maxAppendBytes = 100
    await expect(store.append(second, 3)).rejects.toMatchObject({
      code: 'refused',
      message:
        'EventStoreDB allows less than one append needs: give its MAX_APPEND_SIZE the default again, 1 MiB',
    })
    expect(standIn.database.events(STREAM)).toHaveLength(3)
  })

  test('the largest append goes through, and only its data counts for the server', async () => {
    const large = entriesFrom(first[2], 8, 'x'.repeat(60_000))
    await store.append(large, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf([...first, ...large]))
  })

  test('a second append before the first is answered is not sent, and nothing is said about the first', async () => {
    const under = store.append(second, 3)
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    await under
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })

  test('a node that has become a follower: reads and appends go on at the leader', async () => {
    const leader = await new StandIn({ database: standIn.database }).start()
    cleanup.push(() => leader.dispose())
    standIn.leader = { host: '127.0.0.1', port: leader.port }
    const reader = opened(standIn.url)
    expect(textsOf(await readAll(reader))).toEqual(textsOf(first))
    await store.append(second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
    expect(leader.calls).toContain('append')
  })

  test('two nodes that each take the other for the leader: unavailable, not for ever', async () => {
    const other = await new StandIn({ database: standIn.database }).start()
    cleanup.push(() => other.dispose())
    standIn.leader = { host: '127.0.0.1', port: other.port }
    other.leader = { host: '127.0.0.1', port: standIn.port }
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(store.size()).rejects.toMatchObject({ code: 'unavailable' })
    expect(standIn.database.events(STREAM)).toHaveLength(3)
  })

  test('of several hosts the leader is found by gossip', async () => {
    const leader = await new StandIn({ database: standIn.database }).start()
    cleanup.push(() => leader.dispose())
    standIn.leader = { host: '127.0.0.1', port: leader.port }
    const both = opened(`esdb://127.0.0.1:${standIn.port},127.0.0.1:${leader.port}?tls=false`)
    await both.append(second, 3)
    expect(leader.calls).toContain('append')
  })

  test('the events in the database are JSON with the id that the leaf hash gives, and say who wrote them', () => {
    const [event] = standIn.database.events(STREAM)
    const { entry, leafHash } = first[0] as (typeof first)[0]
    expect(event?.id).toBe(eventId(leafHash))
    expect(event?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(JSON.parse(Buffer.from(event?.data ?? []).toString())).toEqual(entry.data)
    const { v, index, time, prev } = entry
    expect(JSON.parse(Buffer.from(event?.metadata ?? []).toString())).toEqual({
      v,
      index,
      time,
      prev,
      upTo: 2,
      by: 'n1',
    })
  })
})

describe('over a stand-in process', () => {
  const started = async (...args: string[]) => {
    const node = await StandInProcess.start(...args)
    cleanup.push(() => node.end())
    return node
  }

  test('no node at all: nothing was written', async () => {
    const node = await started()
    await node.end()
    await expect(opened(node.url).append(first, 0)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a node that freezes: unknown within the deadline, and whole again when it thaws', async () => {
    const node = await started()
    const store = opened(node.url)
    await appendUntilSettled(store, first, 0)
    node.signal('SIGSTOP')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    await expect(store.size()).rejects.toMatchObject({ code: 'unavailable' })
    node.signal('SIGCONT')
    await appendUntilSettled(store, second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })

  test('a node that is killed and comes back: what it confirmed is there, and the ledger goes on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventstoredb-'))
    cleanup.push(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'db.jsonl')
    const node = await started('--db', file, '--port', String(await freePort()))
    const store = opened(node.url)
    node.plan({ appends: ['commit-then-lose-the-reply'] })
    await appendUntilSettled(store, first, 0)
    await node.end('SIGKILL')
    await expect(store.append(second, 3)).rejects.toMatchObject({ name: 'StoreError' })
    await started('--db', file, '--port', String(node.port))
    await appendUntilSettled(store, second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })
})
