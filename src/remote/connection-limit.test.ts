import { expect, test } from '@jest/globals'

import { ConnectionLimit } from './connection-limit.js'

const HOUR_MS = 3_600_000
const errors = { late: () => new Error('late'), busy: () => new Error('busy') }

function pending() {
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  return { send: () => ended, end }
}

test('a request that waits for a connection is sent when one is free, in order', async () => {
  const limit = new ConnectionLimit(1)
  const sent: string[] = []
  const first = pending()
  const all = [limit.request(HOUR_MS, first.send, errors)]
  for (const name of ['second', 'third']) {
    all.push(limit.request(HOUR_MS, () => Promise.resolve(void sent.push(name)), errors))
  }
  expect(sent).toEqual([])
  first.end()
  await Promise.all(all)
  expect(sent).toEqual(['second', 'third'])
})

test('a wait that lasts to the deadline is `busy`, and takes no connection later; a silent party is `late`', async () => {
  const limit = new ConnectionLimit(1)
  const first = pending()
  const holding = limit.request(HOUR_MS, first.send, errors)
  let sent = false
  const sending = () => Promise.resolve(void (sent = true))
  await expect(limit.request(5, sending, errors)).rejects.toThrow('busy')
  first.end()
  await holding
  await limit.request(HOUR_MS, () => Promise.resolve(), errors)
  expect(sent).toBe(false)
  await expect(limit.request(50, () => new Promise(() => undefined), errors)).rejects.toThrow('late')
})

test('a request that fails gives its connection back', async () => {
  const limit = new ConnectionLimit(1)
  const failing = () => Promise.reject(new Error('own'))
  await expect(limit.request(HOUR_MS, failing, errors)).rejects.toThrow('own')
  await limit.request(HOUR_MS, () => Promise.resolve(), errors)
})
