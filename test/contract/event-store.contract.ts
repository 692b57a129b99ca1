// What every event store keeps: run by each implementation's own test file.

import { afterEach, describe, expect, test } from '@jest/globals'

import { chain, type Sealed } from '../../src/domain/ledger/entry.js'
import {
  type EntryToAppend,
  type EventStore,
  StoreError,
  type Stored,
} from '../../src/event-store/event-store.js'

/** One stream, opened as often as asked: each call is another process's view of the same ledger. */
export interface StoreUnderTest {
  open(): Promise<EventStore>
  dispose(): Promise<void>
}

export function eventStoreContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`the event-store contract: ${name}`, () => {
    const cleanup: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const step of cleanup.splice(0).reverse()) await step()
    })

    async function setUp() {
      const under = await make()
      cleanup.push(() => under.dispose())
      const open = async () => {
        const store = await under.open()
        cleanup.push(() => store.close())
        return store
      }
      return { open, store: await open() }
    }

    test('a new ledger is empty', async () => {
      const { store } = await setUp()
      expect(await store.size()).toBe(0)
      expect(await store.read(0, 10)).toEqual([])
    })

    test('what is appended is read back byte for byte, in order', async () => {
      const { store } = await setUp()
      const entries = entriesFrom(undefined, 7)
      await store.append(entries.slice(0, 1), 0)
      await store.append(entries.slice(1, 5), 1)
      await store.append(entries.slice(5), 5)

      expect(await store.size()).toBe(7)
      expect(bytes(await readAll(store, 0))).toEqual(bytes(stored(entries)))
      expect(bytes(await readAll(store, 4))).toEqual(bytes(stored(entries.slice(4))))
      expect(await store.read(7, 10)).toEqual([])
      expect((await store.read(0, 2)).length).toBeLessThanOrEqual(2)
    })

    test('text of every kind survives: emoji, escapes, a member named __proto__', async () => {
      const { store } = await setUp()
      const odd = chain(
        undefined,
        {
          type: 'LedgerOpened',
          data: { origin: 'é \u{1f511} "\\ \u0001 \u2028', vkey: '__proto__', software: 'x' },
        },
        new Date(0),
      )
      await store.append([odd], 0)
      expect(bytes(await store.read(0, 1))).toEqual(bytes(stored([odd])))
    })

    test("an entry's signature is read, followed and kept as it was appended, and is no part of its text", async () => {
      const { open, store } = await setUp()
      const entries: EntryToAppend[] = entriesFrom(undefined, 6)
      for (const i of [1, 2, 5]) entries[i] = signed(entries[i]!)
      const [own, foreign] = [collect(store, 0, 6), collect(await open(), 0, 6)]
      await store.append(entries.slice(0, 2), 0)
      await store.append(entries.slice(2), 2)
      for (const seen of [
        await readAll(store, 0),
        await own,
        await foreign,
        await readAll(await open(), 0),
      ]) {
        expect(bytes(seen)).toEqual(bytes(stored(entries)))
        expect(seen.map(({ signature }) => signature)).toEqual(entries.map(({ signature }) => signature))
      }
    })

    test('an append at the wrong size is a conflict and leaves no trace', async () => {
      const { store } = await setUp()
      const entries = entriesFrom(undefined, 4)
      await store.append(entries.slice(0, 2), 0)
      const other = entriesFrom(undefined, 4, 'other').map(signed)

      await expect(store.append(other.slice(0, 2), 0)).rejects.toMatchObject({ code: 'conflict' })
      await expect(store.append(other.slice(3), 3)).rejects.toMatchObject({ code: 'conflict' })
      await expect(store.append(other.slice(1, 4), 1)).rejects.toMatchObject({ code: 'conflict' })
      expect(bytes(await readAll(store, 0))).toEqual(bytes(stored(entries.slice(0, 2))))
    })

    test('the same bytes sent again at the same place are never written twice', async () => {
      const { store } = await setUp()
      const entries = entriesFrom(undefined, 3)
      await store.append(entries, 0)
      await store.append(entries, 0).catch((error: unknown) => {
        expect(error).toBeInstanceOf(StoreError)
        expect(error).toMatchObject({ code: 'conflict' })
      })
      expect(bytes(await readAll(store, 0))).toEqual(bytes(stored(entries)))
    })

    test('of two writers at one place exactly one wins, every time', async () => {
      const { open, store } = await setUp()
      const rival = await open()
      let last: Sealed | undefined
      for (let round = 0; round < 25; round += 1) {
        const at = last ? last.entry.index + 1 : 0
        const [mine, theirs] = [entriesFrom(last, 2, `a${round}`), entriesFrom(last, 2, `b${round}`)]
        const outcomes = await Promise.allSettled([store.append(mine, at), rival.append(theirs, at)])
        const won = outcomes.map(({ status }) => status === 'fulfilled')
        expect(won.filter(Boolean)).toHaveLength(1)
        const lost = outcomes.find((outcome) => outcome.status === 'rejected')
        expect(lost?.reason).toMatchObject({ code: 'conflict' })
        last = (won[0] ? mine : theirs)[1]
        expect((await readAll(store, at)).map(({ text }) => text).at(-1)).toBe(last?.text)
      }
    })

    test('another opening of the ledger sees what was appended', async () => {
      const { open, store } = await setUp()
      const entries = entriesFrom(undefined, 3)
      await store.append(entries, 0)
      const other = await open()
      expect(await other.size()).toBe(3)
      expect(bytes(await readAll(other, 0))).toEqual(bytes(stored(entries)))
    })

    test('a follower gets every entry once and in order: the old ones, then the new ones', async () => {
      const { open, store } = await setUp()
      const entries = entriesFrom(undefined, 60)
      await store.append(entries.slice(0, 20), 0)
      const own = collect(store, 5, 60)
      const foreign = collect(await open(), 0, 60)
      for (let at = 20; at < 60; at += 8) await store.append(entries.slice(at, at + 8), at)

      expect(bytes(await own)).toEqual(bytes(stored(entries.slice(5))))
      expect(bytes(await foreign)).toEqual(bytes(stored(entries)))
    })

    test('a follower of an empty ledger waits, and ends when it is asked to', async () => {
      const { store } = await setUp()
      const stop = new AbortController()
      const batches: Stored[][] = []
      const following = (async () => {
        for await (const batch of store.follow(0, stop.signal)) batches.push(batch)
      })()
      stop.abort()
      await following
      expect(batches).toEqual([])
    })
  })
}

export function entriesFrom(previous: Sealed | undefined, count: number, backend = 'test'): Sealed[] {
  const entries: Sealed[] = []
  for (let last = previous; entries.length < count;) {
    const at = last ? last.entry.index + 1 : 0
    last = chain(
      last,
      { type: 'SessionValidated', data: { mintId: `mint-${at}`, wallet: '0x', tokenSha256: 'f', backend } },
      new Date(1_800_000_000_000 + at),
    )
    entries.push(last)
  }
  return entries
}

const signed = (entry: Sealed): EntryToAppend => ({ ...entry, signature: `of ${entry.leafHash}` })

const stored = (entries: Sealed[]): Stored[] =>
  entries.map(({ entry, text }) => ({ index: entry.index, text }))
const bytes = (entries: Stored[]) => entries.map(({ index, text }) => ({ index, text }))

async function readAll(store: EventStore, from: number): Promise<Stored[]> {
  const all: Stored[] = []
  for (;;) {
    const page = await store.read(from + all.length, 1000)
    if (page.length === 0) return all
    all.push(...page)
  }
}

async function collect(store: EventStore, from: number, end: number): Promise<Stored[]> {
  const stop = new AbortController()
  const got: Stored[] = []
  for await (const batch of store.follow(from, stop.signal)) {
    got.push(...batch)
    if (from + got.length >= end) break
  }
  stop.abort()
  return got
}
