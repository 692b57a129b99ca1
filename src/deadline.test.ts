import { expect, test } from '@jest/globals'

import { deadline } from './deadline.js'

const HOUR_MS = 3_600_000
const never = new Promise<never>(() => undefined)

test('work that ends in time gives its value, or its own error', async () => {
  expect(await deadline(HOUR_MS, Promise.resolve(1), () => new Error('late'))).toBe(1)
  const failing = () => Promise.reject(new Error('own'))
  await expect(deadline(HOUR_MS, failing, () => new Error('late'))).rejects.toThrow('own')
})

test('work that does not end is given up with the error, which still sees the signal unaborted', async () => {
  let signal: AbortSignal | undefined
  const work = (given: AbortSignal) => {
    signal = given
    return never
  }
  await expect(deadline(1, work, () => new Error(`late ${signal?.aborted}`))).rejects.toThrow('late false')
  expect(signal?.aborted).toBe(true)
})
