// A broker that is alone on its ledger: it stops listening to itself, and must miss nothing for it.

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import type { EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import {
  appendUntilSettled,
  Follower,
  openStore,
  setMetadata,
  STREAM,
  textsOf,
} from '../support/eventstoredb/ledger.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { until } from '../support/until.js'

const GROUP = 100
const entries: Sealed[] = []

let standIn: StandIn
let store: EventStoreDbEventStore
let size: number
const followers: Follower[] = []
const rivals: EventStoreDbEventStore[] = []

beforeEach(async () => {
  standIn = await new StandIn().start()
  store = openStore(standIn.url)
  size = 0
})
afterEach(async () => {
  for (const follower of followers.splice(0)) await follower.end().catch(() => undefined)
  for (const each of [store, ...rivals.splice(0)]) await each.close()
  await standIn.dispose()
})

function follow(): Follower {
  const follower = new Follower(store)
  followers.push(follower)
  return follower
}

/** The entries that come next. How many are needed is a matter of the machine. */
function nextEntries(count: number): Sealed[] {
  while (entries.length < size + count) entries.push(...entriesFrom(entries.at(-1), 1_000))
  return entries.slice(size, size + count)
}

async function appendGroup(count = GROUP): Promise<void> {
  await appendUntilSettled(store, nextEntries(count), size)
  size += count
}

/** Somebody else writes the next entries. */
async function rivalAppends(count: number): Promise<void> {
  const rival = openStore(standIn.url, { node: 'n2' })
  rivals.push(rival)
  await appendUntilSettled(rival, nextEntries(count), size)
}

const listens = () => [...standIn.openReads].some(({ stream }) => stream === STREAM)

/** Appends until no one listens to the ledger any more. */
async function alone(follower: Follower): Promise<void> {
  await appendGroup()
  await follower.has(size)
  expect(listens()).toBe(true)
  await notListening()
}

async function notListening(): Promise<void> {
  while (listens()) await appendGroup()
}

async function inOrder(follower: Follower): Promise<void> {
  await follower.has(size)
  expect(textsOf(follower.got)).toEqual(textsOf(entries.slice(0, size)))
  expect(follower.got.map(({ index }) => index)).toEqual(
    entries.slice(0, size).map(({ entry }) => entry.index),
  )
}

test('what it appends is followed all the same, in order, and says who wrote it', async () => {
  const follower = follow()
  await alone(follower)
  // Where the machine stood still between two of them, it was silent for so long that it began to listen again.
  for (let inARow = 0; inARow < 5;) {
    await appendGroup(7)
    inARow = listens() ? 0 : inARow + 1
    await notListening()
  }
  await inOrder(follower)
  expect(new Set(follower.got.map(({ by }) => by))).toEqual(new Set(['n1']))
  expect(follower.got.at(-1)).toMatchObject({ index: size - 1, upTo: size - 1 })
})

test('somebody else who writes is heard at its next append', async () => {
  const follower = follow()
  await alone(follower)
  await rivalAppends(3)
  await expect(store.append(entriesFrom(entries[size - 1], 2, 'lost'), size)).rejects.toMatchObject({
    code: 'conflict',
  })
  size += 3
  await follower.has(size)
  expect(follower.got.at(-1)?.by).toBe('n2')
  await appendGroup()
  await inOrder(follower)
})

test('somebody else who writes is heard when it falls silent itself', async () => {
  const follower = follow()
  await alone(follower)
  await rivalAppends(3)
  size += 3
  await inOrder(follower)
})

test('an append whose answer is lost is there once', async () => {
  const follower = follow()
  await alone(follower)
  standIn.appends.next('commit-then-lose-the-reply')
  await appendGroup()
  await appendGroup()
  await inOrder(follower)
})

test('a ledger that is truncated is refused although no one listens to its entries', async () => {
  const follower = follow()
  await alone(follower)
  const appending = (async () => {
    for (;;) await appendGroup(5)
  })()
  setMetadata(standIn.database, STREAM, { $maxCount: 1_000_000 })
  await expect(follower.ended).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringContaining('$maxCount'),
  })
  await expect(appending).rejects.toMatchObject({ code: 'refused' })
})

test('asked to stop, it stops', async () => {
  const follower = follow()
  await alone(follower)
  await follower.end()
  // It may have begun to listen again, if the machine is slow: that has ended too, once the server has heard of it.
  await until(
    () => !listens(),
    () => 'it goes on listening',
  )
  await appendGroup()
  expect(listens()).toBe(false)
})
