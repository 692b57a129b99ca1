import { afterEach, expect, test } from '@jest/globals'

import { StoreError, type Stored } from '../event-store.js'
import { MemoryEventStore } from '../memory.js'
import { readAhead } from './read-ahead.js'

let stopping = new AbortController()
afterEach(() => {
  stopping.abort()
  stopping = new AbortController()
})

/** Delivers these batches, then waits or fails. */
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
const follow = (source: Scripted) => readAhead(source, 0, stopping.signal, () => undefined)

test('the watcher sees each batch when it arrives; the reader gets what has arrived as one batch', async () => {
  const seen: number[][] = []
  const source = new Scripted([batchOf(0, 2), batchOf(2, 1), batchOf(3, 3)])
  const watch = (batch: readonly Stored[]) => void seen.push(indexes(batch) as number[])
  const reader = readAhead(source, 0, stopping.signal, watch)[Symbol.asyncIterator]()
  const first = reader.next()
  expect(indexes((await first).value as Stored[])).toEqual([0, 1])
  await turn()
  expect(seen).toEqual([[0, 1], [2], [3, 4, 5]])
  expect(indexes((await reader.next()).value as Stored[])).toEqual([2, 3, 4, 5])
})

test('a slow reader makes the store wait', async () => {
  const source = new Scripted(Array.from({ length: 20 }, (_, i) => batchOf(i * 1024, 1024)))
  const reader = follow(source)[Symbol.asyncIterator]()
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

test('entries that arrived before a failure are delivered before the failure', async () => {
  const failure = new StoreError('unavailable', 'gone')
  const source = new Scripted([batchOf(0, 1), batchOf(1, 1)], failure)
  const got: (number[] | undefined)[] = []
  const read = async () => {
    for await (const batch of follow(source)) got.push(indexes(batch))
  }
  await expect(read()).rejects.toBe(failure)
  expect(got.flat()).toEqual([0, 1])
})

test('a reader that stops early ends the following', async () => {
  const source = new Scripted([batchOf(0, 1)])
  for await (const batch of follow(source)) {
    expect(indexes(batch)).toEqual([0])
    break
  }
  expect(source.left).toBe(true)
})

test('a waiting reader returns when the signal aborts', async () => {
  const waiting = follow(new Scripted([]))[Symbol.asyncIterator]().next()
  stopping.abort()
  expect(await waiting).toEqual({ done: true, value: undefined })
})
