import { expect, test } from '@jest/globals'

import { Retries } from './retries.js'

test('the wait doubles up to five minutes, and is forgotten when it succeeds', () => {
  const retries = new Retries()
  const waits = Array.from({ length: 10 }, () => retries.failed('a', 0))
  expect(waits.slice(0, 3)).toEqual([2_000, 4_000, 8_000])
  expect(waits.at(-1)).toBe(300_000)
  expect([retries.isDue('a', 299_999), retries.isDue('a', 300_000), retries.isDue('b', 0)]).toEqual([
    false,
    true,
    true,
  ])
  retries.done('a')
  expect(retries.isDue('a', 0)).toBe(true)
})

test('of ten thousand that fail, the oldest is forgotten', () => {
  const retries = new Retries()
  for (let i = 0; i <= 10_000; i += 1) retries.failed(`m${i}`, 0)
  expect([retries.isDue('m0', 0), retries.isDue('m1', 0)]).toEqual([true, false])
})
