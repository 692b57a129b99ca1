import { afterEach, expect, test } from '@jest/globals'

import { chain, type Sealed } from '../domain/ledger/entry.js'
import { type EventStore, StoreError, type Stored } from './event-store.js'
import { MemoryEventStore } from './memory.js'
import { ReadAheadStore } from './read-ahead.js'

let stopping = new AbortController()
afterEach(() => {
  stopping.abort()
  stopping = new AbortController()
})

function entries(count: number): Sealed[] {
  const chained: Sealed[] = []
  const event = { type: 'BrokerStarted', data: { node: 'n', version: '1', configSha256: 'f' } } as const
  while (chained.length < count) chained.push(chain(chained.at(-1), event, new Date(0)))
  return chained
}

/** Follows as it is told: one batch after the other, then what the end is. */
class Scripted extends MemoryEventStore {
  asked = 0
  left = false

  constructor(
    private readonly batches: Stored[][],
    private readonly end: 'waits' | Error = 'waits',
  ) {
    super()
  }

  override async *follow(_from: number, signal: AbortSignal): AsyncIterable<Stored[]> {
    try {
      for (const batch of this.batches) {
        this.asked += 1
        yield batch
      }
      if (this.end instanceof Error) throw this.end
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    } finally {
      this.left = true
    }
  }
}

const batchOf = (from: number, count: number): Stored[] =>
  Array.from({ length: count }, (_, i) => ({ index: from + i, text: `${from + i}` }))
const indexes = (batch: readonly Stored[] | undefined) => batch?.map(({ index }) => index)
const turn = () => new Promise(setImmediate)

test('the watcher sees each batch as it arrives, the reader what gathered, as one', async () => {
  const seen: number[][] = []
  const store = new ReadAheadStore(new Scripted([batchOf(0, 2), batchOf(2, 1), batchOf(3, 3)]), (batch) =>
    seen.push(indexes(batch) as number[]),
  )
  const reader = store.follow(0, stopping.signal)[Symbol.asyncIterator]()
  const first = reader.next()
  expect(indexes((await first).value as Stored[])).toEqual([0, 1])
  await turn()
  expect(seen).toEqual([[0, 1], [2], [3, 4, 5]])
  expect(indexes((await reader.next()).value as Stored[])).toEqual([2, 3, 4, 5])
})

test('a reader that is slow leaves the store to wait', async () => {
  const source = new Scripted(Array.from({ length: 20 }, (_, i) => batchOf(i * 1024, 1024)))
  const store = new ReadAheadStore(source, () => undefined)
  const reader = store.follow(0, stopping.signal)[Symbol.asyncIterator]()
  await reader.next()
  await turn()
  const asked = source.asked
  expect(asked).toBeLessThan(20)
  await turn()
  expect(source.asked).toBe(asked)
  let got = 1024
  while (got < 20 * 1024) got += ((await reader.next()).value as Stored[]).length
  expect(source.asked).toBe(20)
})

test('what came before a failure is given before the failure is', async () => {
  const failure = new StoreError('unavailable', 'gone')
  const store = new ReadAheadStore(new Scripted([batchOf(0, 1), batchOf(1, 1)], failure), () => undefined)
  const got: (number[] | undefined)[] = []
  const read = async () => {
    for await (const batch of store.follow(0, stopping.signal)) got.push(indexes(batch))
  }
  await expect(read()).rejects.toBe(failure)
  expect(got.flat()).toEqual([0, 1])
})

test('a reader that leaves early takes the following along', async () => {
  const source = new Scripted([batchOf(0, 1)])
  for await (const batch of new ReadAheadStore(source, () => undefined).follow(0, stopping.signal)) {
    expect(indexes(batch)).toEqual([0])
    break
  }
  expect(source.left).toBe(true)
})

test('a reader that waits is let go when it is told to stop', async () => {
  const store = new ReadAheadStore(new Scripted([]), () => undefined)
  const waiting = store.follow(0, stopping.signal)[Symbol.asyncIterator]().next()
  stopping.abort()
  expect(await waiting).toEqual({ done: true, value: undefined })
})

test('everything but the following is the store itself', async () => {
  const inner: EventStore = new MemoryEventStore()
  const store = new ReadAheadStore(inner, () => undefined)
  const three = entries(3)
  await store.append(three, 0)
  expect([await store.size(), store.description]).toEqual([3, inner.description])
  expect(await store.read(1, 5)).toEqual(await inner.read(1, 5))
  await store.close()
})
