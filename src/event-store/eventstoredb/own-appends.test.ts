import { expect, test } from '@jest/globals'

import { OwnAppends } from './own-appends.js'

const texts = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ text: `entry ${from + i}` }))

async function all(own: OwnAppends, next: number): Promise<number[]> {
  const indexes: number[] = []
  for await (const batch of own.from(next)) indexes.push(...batch.map(({ index }) => index))
  return indexes
}

test('they are followed from any of them on, and end when no more come', async () => {
  const own = new OwnAppends('n1')
  own.confirmed(texts(10, 3), 10)
  own.confirmed(texts(13, 2), 13)
  expect([9, 10, 15, 16].map((next) => own.covers(next))).toEqual([false, true, true, false])
  expect(await all(own, 12)).toEqual([12, 13, 14])
})

test('entries of others between ours end it where they begin, and later ones do not join', async () => {
  const own = new OwnAppends('n1')
  own.confirmed(texts(0, 2), 0)
  const following = all(own, 0)
  await new Promise(setImmediate)
  own.confirmed(texts(5, 2), 5)
  expect(await following).toEqual([0, 1])
  expect(own.covers(2)).toBe(false)
  expect(await all(own, 5)).toEqual([5, 6])
})

test('what stirs ends it, with its reason, even while there is more', async () => {
  const own = new OwnAppends('n1')
  own.confirmed(texts(0, 2), 0)
  own.invalidate()
  own.invalidate(new Error('truncated'))
  await expect(all(own, 0)).rejects.toThrow('truncated')
  own.subscribed()
  expect(await all(own, 0)).toEqual([0, 1])
})

test('only the latest are kept', () => {
  const own = new OwnAppends('n1')
  for (let from = 0; from < 20_000; from += 500) own.confirmed(texts(from, 500), from)
  expect([0, 11_000, 16_000, 20_000].map((next) => own.covers(next))).toEqual([false, false, true, true])
})

test('who has no name of its own has no appends to follow', () => {
  const own = new OwnAppends(undefined)
  own.confirmed(texts(0, 2), 0)
  expect(own.covers(0)).toBe(false)
  expect([own.isOurs(undefined), new OwnAppends('n1').isOurs('n2')]).toEqual([false, false])
})
