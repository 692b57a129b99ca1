import { afterEach, expect, test } from '@jest/globals'

import { eventStoreContract } from '../../../test/contract/event-store.contract.js'
import { signed } from '../../../test/support/ledger-signer.js'
import { chain, type Sealed } from '../../domain/ledger/entry.js'
import { type EntryToAppend, StoreError, type StoreErrorCode, type Stored, toStored } from '../event-store.js'
import { MemoryEventStore } from '../memory.js'
import { SharedStore } from './shared-store.js'

let stopping = new AbortController()
afterEach(() => {
  stopping.abort()
  stopping = new AbortController()
})

function entries(count: number, last?: Sealed): EntryToAppend[] {
  const chained: Sealed[] = []
  const event = { type: 'BrokerStarted', data: { node: 'n', version: '1', configSha256: 'f' } } as const
  while (chained.length < count) chained.push(chain(chained.at(-1) ?? last, event, new Date(0)))
  return signed(chained)
}

/** Its first appends fail with these codes. Counts reads. */
class Inner extends MemoryEventStore {
  reads = 0

  constructor(private readonly failures: StoreErrorCode[] = []) {
    super()
  }

  override append(sealed: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    const code = this.failures.shift()
    return code ? Promise.reject(new StoreError(code, 'on order')) : super.append(sealed, expectedSize)
  }

  override read(from: number, limit: number): Promise<Stored[]> {
    this.reads += 1
    return super.read(from, limit)
  }
}

function shared(inner: Inner, size = 0) {
  const store = new SharedStore(inner, { node: 'me', size })
  const counts = () => {
    const { appends, lost, failed } = store.timer
    return { appends, lost, failed }
  }
  return { store, counts }
}

async function followed(store: SharedStore, count: number): Promise<number[]> {
  const got: number[] = []
  for await (const batch of store.follow(0, stopping.signal)) {
    got.push(...batch.map(({ index }) => index))
    if (got.length >= count) break
  }
  return got
}

/** Follows until the test ends. */
function keepFollowing(store: SharedStore): void {
  void followed(store, Infinity)
}

const conflict = { code: 'conflict' }

test('appends, sizes and reads are those of the store', async () => {
  const inner = new Inner()
  const { store, counts } = shared(inner)
  await store.append(entries(3), 0)
  expect([await store.size(), store.description]).toEqual([3, inner.description])
  expect(await store.read(1, 5)).toEqual(await inner.read(1, 5))
  expect(counts()).toEqual({ appends: 1, lost: 0, failed: 0 })
  await store.close()
})

test('after a lost append, a read answers from what the live follow delivered', async () => {
  const inner = new Inner()
  const { store, counts } = shared(inner)
  keepFollowing(store)
  const theirs = entries(2)
  await inner.append(theirs, 0)
  await expect(store.append(entries(1), 0)).rejects.toMatchObject(conflict)
  expect(await store.read(0, 10)).toEqual(theirs.map(toStored))
  expect(await store.read(2, 10)).toEqual([])
  expect(inner.reads).toBe(0)
  expect(counts()).toEqual({ appends: 1, lost: 1, failed: 0 })
})

test('an append that arrives in pieces is read once its signed end is there', async () => {
  const inner = new Inner()
  const theirs = entries(3)
  const pieces = [theirs.slice(0, 2), theirs.slice(2)]
  inner.follow = async function* () {
    for (const piece of pieces) {
      await new Promise(setImmediate)
      yield piece.map(toStored)
    }
  }
  await inner.append(theirs, 0)
  const { store } = shared(inner)
  keepFollowing(store)
  await expect(store.append(entries(1), 0)).rejects.toMatchObject(conflict)
  expect(await store.read(0, 10)).toEqual(theirs.map(toStored))
  expect(inner.reads).toBe(0)
})

test('what the live follow does not deliver in time is read from the store', async () => {
  const inner = new Inner()
  const { store } = shared(inner)
  const theirs = entries(1)
  await inner.append(theirs, 0)
  await expect(store.append(entries(2), 0)).rejects.toMatchObject(conflict)
  expect(await store.read(0, 10)).toEqual(theirs.map(toStored))
  expect(inner.reads).toBe(1)
})

test('what is in the place of an append in doubt is read from the store itself', async () => {
  const inner = new Inner(['unknown'])
  const { store, counts } = shared(inner)
  keepFollowing(store)
  const mine = entries(1)
  void store.turn()
  await expect(store.append(mine, 0)).rejects.toMatchObject({ code: 'unknown' })
  await inner.append(mine, 0)
  await expect(store.append(mine, 0)).rejects.toMatchObject(conflict)
  expect(await store.read(0, 10)).toEqual(mine.map(toStored))
  expect(inner.reads).toBe(1)
  void store.turn()
  expect(counts()).toEqual({ appends: 1, lost: 0, failed: 1 })
})

const failures: [StoreErrorCode[], { appends: number; lost: number; failed: number }][] = [
  [['unavailable'], { appends: 1, lost: 0, failed: 1 }],
  [['refused'], { appends: 1, lost: 0, failed: 1 }],
  [['conflict'], { appends: 1, lost: 1, failed: 0 }],
  [['unknown', 'unknown', 'unavailable'], { appends: 1, lost: 0, failed: 0 }],
]
test.each(failures)(
  'an append that meets %j and then succeeds or stops is counted once',
  async (codes, expected) => {
    const { store, counts } = shared(new Inner([...codes]))
    void store.turn()
    for (const code of codes) await expect(store.append(entries(1), 0)).rejects.toMatchObject({ code })
    if (codes[0] === 'unknown') await store.append(entries(1), 0)
    expect(counts()).toEqual(expected)
  },
)

test('the listener hears of all entries from the opened size on, also of those before it listened', async () => {
  const inner = new Inner()
  const three = entries(3)
  await inner.append(three, 0)
  const { store } = shared(inner, 1)
  expect(await followed(store, 3)).toEqual([0, 1, 2])
  const heard: number[] = []
  store.listen((batch) => heard.push(...batch.map(({ index }) => index)))
  expect(heard).toEqual([1, 2])
})

test('a turn is immediate and without limit until another broker appends', async () => {
  const inner = new Inner()
  const { store } = shared(inner)
  expect(store.turn()).toBeUndefined()
  inner.follow = async function* () {
    yield [{ index: 0, text: '', by: 'other' }]
    await new Promise(() => undefined)
  }
  const reader = store.follow(0, stopping.signal)[Symbol.asyncIterator]()
  await reader.next()
  expect(store.turn()).toBeInstanceOf(Promise)
})

eventStoreContract('shared', () => {
  const { store } = shared(new Inner())
  keepFollowing(store)
  return Promise.resolve({ open: () => Promise.resolve(store), dispose: () => Promise.resolve() })
})
