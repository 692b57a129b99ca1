// What readers and followers of the ledger in EventStoreDB are shown when something is wrong with it or with the way to
// it: never a gap, a repeat or a shorter ledger without a word, and never a call left open at the server.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { chain, type Sealed } from '../../src/domain/ledger/entry.js'
import type { EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import type { ReadFault } from '../support/eventstoredb/faults.js'
import {
  appendUntilSettled,
  Follower,
  isEntry,
  openStore,
  readAll,
  setMetadata as setMetadataOf,
  STREAM,
  textsOf,
} from '../support/eventstoredb/ledger.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'

const entries = entriesFrom(undefined, 8)
/** How long a read may be silent: some of these are for ever. */
const PATIENCE_MS = 3_000

let standIn: StandIn
let store: EventStoreDbEventStore
const followers: Follower[] = []

beforeEach(async () => {
  standIn = await new StandIn({ caughtUpOnEmpty: false }).start()
  store = openStore(standIn.url, { patienceMs: PATIENCE_MS })
})
afterEach(async () => {
  for (const follower of followers.splice(0)) await follower.end().catch(() => undefined)
  await store.close()
  await standIn.dispose()
})

function follow(from = 0): Follower {
  const follower = new Follower(store, from)
  followers.push(follower)
  return follower
}

const setMetadata = (metadata: object) => setMetadataOf(standIn.database, STREAM, metadata)

/** As another writer would have written them: with these members in the metadata beside the entry's own. */
function standInEvents(written: readonly Sealed[], note: object) {
  return written.map(({ entry: { data, index, prev, time, type, v } }) => ({
    id: crypto.randomUUID(),
    type,
    contentType: 'application/json',
    data: Buffer.from(JSON.stringify(data)),
    metadata: Buffer.from(JSON.stringify({ v, index, time, prev, ...note })),
  }))
}

describe('a ledger that hides entries is refused, by name', () => {
  beforeEach(() => appendUntilSettled(store, entries, 0))

  test('$tb', async () => {
    setMetadata({ $tb: 3 })
    await expect(store.read(0, 10)).rejects.toMatchObject({
      code: 'refused',
      message:
        'the ledger stream does not show entry 0: it was truncated or deleted ($tb, $maxCount or $maxAge in its ' +
        "metadata); an administrator takes $tb, $maxCount and $maxAge out of the stream's metadata before any scavenge " +
        '(what one removed is in backups alone); then run verify-ledger',
    })
    await expect(store.read(2, 10)).rejects.toMatchObject({ code: 'refused' })
    expect(textsOf(await store.read(3, 10))).toEqual(textsOf(entries.slice(3)))
  })

  test('$maxCount', async () => {
    setMetadata({ $maxCount: 2 })
    await expect(store.read(5, 10)).rejects.toMatchObject({ code: 'refused', message: /entry 5/ as never })
  })

  test('all of it: an empty answer is not an empty ledger', async () => {
    setMetadata({ $tb: 100 })
    await expect(store.size()).rejects.toMatchObject({ code: 'refused' })
    await expect(store.read(0, 10)).rejects.toMatchObject({ code: 'refused' })
  })

  test('soft delete', async () => {
    standIn.database.softDelete(STREAM)
    await expect(store.size()).rejects.toMatchObject({ code: 'refused' })
    await expect(store.read(8, 10)).rejects.toMatchObject({ code: 'refused' })
  })

  test('tombstone', async () => {
    standIn.database.tombstone(STREAM)
    const message =
      'the ledger stream was deleted for good (tombstoned): stop all brokers, restore the nodes from a backup, run verify-ledger'
    const refusal = { code: 'refused', message }
    await expect(store.size()).rejects.toMatchObject(refusal)
    await expect(store.read(0, 10)).rejects.toMatchObject(refusal)
  })
})

describe('an event that is no entry is given as a text that no entry has', () => {
  beforeEach(() => appendUntilSettled(store, entries, 0))

  test('redacted by the vendor tool: 0xFF throughout', async () => {
    standIn.database.redact(STREAM, 2)
    const found = await readAll(store)
    expect(found.map(isEntry)).toEqual([true, true, false, true, true, true, true, true])
    expect(found.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  const odd: [string, { data?: string; metadata?: string; contentType?: string }][] = [
    ['malformed JSON', { data: '{oops' }],
    ['no JSON at all', { contentType: 'application/octet-stream' }],
    ['a number beyond JSON', { data: '{"n":1e400}' }],
    ['a number that JavaScript rounds', { data: '{"n":9007199254740993}' }],
    ['a lone surrogate', { data: '{"s":"\\ud800"}' }],
    ['JSON nested past all bounds', { data: `${'['.repeat(100_000)}${']'.repeat(100_000)}` }],
    ['data that is no object', { data: 'null' }],
    ['no metadata', { metadata: '' }],
    ['metadata that is no JSON', { metadata: '[oops' }],
    ['metadata of another application', { metadata: '{"$correlationId":"c"}' }],
    ['metadata null', { metadata: 'null' }],
  ]
  test.each(odd)('%s', async (_name, { data, metadata, contentType }) => {
    standIn.database.overwrite(STREAM, 1, {
      ...(data === undefined ? {} : { data: Buffer.from(data) }),
      ...(metadata === undefined ? {} : { metadata: Buffer.from(metadata) }),
      ...(contentType === undefined ? {} : { contentType }),
    })
    const found = await readAll(store)
    expect(found.map(isEntry)).toEqual([true, false, true, true, true, true, true, true])
  })

  test('changed members stay visible as what they are', async () => {
    const { data, ...rest } = (entries[1] as (typeof entries)[0]).entry
    standIn.database.overwrite(STREAM, 1, {
      data: Buffer.from(JSON.stringify({ ...data, mintId: 'forged' })),
    })
    const [found] = await store.read(1, 1)
    expect(JSON.parse(found?.text ?? '')).toEqual({ ...rest, data: { ...data, mintId: 'forged' } })
  })

  test('an entry says who wrote it', async () => {
    expect((await store.read(0, 1))[0]?.by).toBe('n1')
  })
})

describe('a read that goes wrong', () => {
  beforeEach(() => appendUntilSettled(store, entries, 0))

  const faults: ReadFault[] = ['swallow', 'stall', 'unavailable', 'internal']
  test.each(faults)('%s: unavailable, and nothing stays open', async (fault) => {
    standIn.reads.next(fault)
    await expect(store.read(0, 10)).rejects.toMatchObject({ code: 'unavailable' })
    expect(textsOf(await store.read(0, 10))).toEqual(textsOf(entries))
    await closedAtTheServer()
  })

  test('ended too soon: the entries so far, and the rest at the next read', async () => {
    standIn.reads.next('end-quietly')
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })
})

describe('a follower', () => {
  test('survives cut connections, quiet ends and errors without a gap or a repeat', async () => {
    const follower = follow()
    const long = entriesFrom(undefined, 60)
    const trouble = [
      () => standIn.cutConnections(),
      () => [...standIn.openReads].forEach((read) => read.end()),
      () => standIn.reads.next('unavailable'),
      () => standIn.reads.next('none', 'none', 'stall'),
      () => standIn.appends.next('commit-then-lose-the-reply'),
    ]
    for (let at = 0; at < 60; at += 6) {
      await appendUntilSettled(store, long.slice(at, at + 6), at)
      await follower.has(at + 6)
      trouble[(at / 6) % trouble.length]?.()
    }
    expect(follower.got.map(({ index }) => index)).toEqual(long.map(({ entry }) => entry.index))
    expect(textsOf(follower.got)).toEqual(textsOf(long))
  })

  test('is given what was appended together as one batch, not piece by piece', async () => {
    const other = openStore(standIn.url, { node: 'n2' })
    const follower = follow()
    const appended: Sealed[] = []
    // A machine that is held up for longer than a piece is waited for gives it by itself: then another group is looked at.
    while (follower.batches.at(-1) !== 500) {
      const group = entriesFrom(appended.at(-1), 500)
      await other.append(group, appended.length)
      appended.push(...group)
      await follower.has(appended.length)
    }
    await other.close()
    expect(textsOf(follower.got)).toEqual(textsOf(appended))
  })

  test.each([
    ['announces more than it wrote', { by: 'n2', upTo: 1_000 }],
    ['announces what no number says', { by: 'n2', upTo: 'all' }],
    ['says nothing of itself', {}],
  ])('is given what a writer wrote that %s', async (_name, note) => {
    await store.append(entries.slice(0, 4), 0)
    const follower = follow()
    await follower.has(4)
    const [next] = standInEvents(entries.slice(4, 5), note)
    standIn.database.append(STREAM, 'any', [next as never])
    await follower.has(5)
    expect(textsOf(follower.got)).toEqual(textsOf(entries.slice(0, 5)))
  })

  test('comes back after a node was stopped and started again', async () => {
    await store.append(entries.slice(0, 4), 0)
    const follower = follow()
    await follower.has(4)
    await standIn.stop(50)
    await standIn.start()
    await appendUntilSettled(store, entries.slice(4), 4)
    await follower.has(8)
    expect(textsOf(follower.got)).toEqual(textsOf(entries))
  })

  test('subscribes again when a subscription is never confirmed', async () => {
    await store.append(entries, 0)
    standIn.reads.next('none', 'none', 'swallow')
    const follower = follow(2)
    await follower.has(6)
    expect(textsOf(follower.got)).toEqual(textsOf(entries.slice(2)))
  })

  test('leaves nothing open at the server when it is left early or asked to stop', async () => {
    await store.append(entries, 0)
    for await (const batch of store.follow(0, new AbortController().signal)) {
      expect(batch[0]?.index).toBe(0)
      break
    }
    const told = follow()
    await told.has(8)
    await told.end()
    await closedAtTheServer()
  })

  const endings: [string, () => void][] = [
    ['truncated', () => setMetadata({ $tb: 1 })],
    ['given a $maxCount', () => setMetadata({ $maxCount: 1000 })],
    ['soft-deleted', () => standIn.database.softDelete(STREAM)],
    ['tombstoned', () => standIn.database.tombstone(STREAM)],
    ['opened to deletion by its own $acl', () => setMetadata({ $acl: { $d: 'ops', $mw: '$admins' } })],
    ['opened to truncation by its own $acl', () => setMetadata({ $acl: { $mw: ['$admins', 'ops'] } })],
  ]
  test.each(endings)(
    'is refused when the ledger is %s under it, and nothing is appended any more',
    async (_name, damage) => {
      await store.append(entries.slice(0, 4), 0)
      const follower = follow()
      await follower.has(4)
      damage()
      await expect(follower.ended).rejects.toMatchObject({ name: 'StoreError', code: 'refused' })
      const refusal = { code: 'refused', message: expect.stringMatching(/; then start this broker again$/) }
      await expect(store.append(entries.slice(4), 4)).rejects.toMatchObject(refusal)
      expect(standIn.database.events(STREAM)).toHaveLength(4)
    },
  )

  test('is refused when the ledger is truncated although the subscription to its metadata is dead', async () => {
    standIn.reads.next('none', 'none', 'swallow')
    const follower = follow()
    while (!standIn.calls.includes(`subscribe $$${STREAM}`)) await new Promise(setImmediate)
    await store.append(entries.slice(0, 4), 0)
    await follower.has(4)
    setMetadata({ $maxCount: 1000 })
    await expect(follower.ended).rejects.toMatchObject({
      code: 'refused',
      message: /\$maxCount 1000/ as never,
    })
  })

  test("goes on where the stream's own $acl leaves deletion and metadata to administrators", async () => {
    const follower = follow()
    await store.append(entries.slice(0, 4), 0)
    await follower.has(4)
    setMetadata({ $acl: { $r: ['mirror', 'ledger-app'], $d: [], $mw: '$admins' } })
    await store.append(entries.slice(4), 4)
    await follower.has(8)
  })

  test('is refused when an older backup was put back: shorter, or gone on in another way', async () => {
    await store.append(entries, 0)
    const [one, other] = [follow(), follow()]
    await one.has(8)
    await other.has(8)
    standIn.kill()
    standIn.database.forgetNewest(STREAM, 3)
    await standIn.start()
    const shorter = {
      code: 'refused',
      message: `the ledger has no entry 7, and this broker has read it: an older backup was put back, or the nodes are others; ${REMEDY}`,
    }
    await expect(one.ended).rejects.toMatchObject(shorter)
    await expect(other.ended).rejects.toMatchObject(shorter)
  })

  test('is refused when the entry it stands on is not the one it was given', async () => {
    await store.append(entries, 0)
    const follower = follow()
    await follower.has(8)
    standIn.kill()
    standIn.database.overwrite(STREAM, 7, { data: Buffer.from('{"forged":true}') })
    await standIn.start()
    await expect(follower.ended).rejects.toMatchObject({
      code: 'refused',
      message: `entry 7 of the ledger is not the one that this broker has read: it was rewritten, or the nodes are others; ${REMEDY}`,
    })
  })

  test('cannot start beyond the end: the ledger is shorter than the reader has seen', async () => {
    await store.append(entries, 0)
    await expect(follow(9).ended).rejects.toMatchObject({ code: 'refused' })
  })

  test('of an empty stream is served when the first entry comes', async () => {
    const follower = follow()
    await store.append(
      [
        chain(
          undefined,
          { type: 'LedgerOpened', data: { origin: 'o', vkey: 'v', software: 's' } },
          new Date(0),
        ),
      ],
      0,
    )
    await follower.has(1)
    expect(follower.got.map(isEntry)).toEqual([true])
  })
})

const REMEDY =
  'stop all brokers, run verify-ledger with the newest last-checkpoint of any broker, and restore the nodes from a backup that verifies'

/** The client's cancellation is on its way when a read returns: this waits for it to have arrived. */
async function closedAtTheServer(): Promise<void> {
  while (standIn.openReads.size > 0) await new Promise(setImmediate)
}
