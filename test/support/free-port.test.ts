import { createServer } from 'node:net'

import { expect, test } from '@jest/globals'

import { freePort } from './free-port.js'

test('anyone who asks at the same time is given another port', async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, freePort))
  expect(new Set(ports).size).toBe(50)
  expect(ports.filter((port) => port < 12_000 || port >= 32_000)).toEqual([])
})

test('a port that is in use is not given out', async () => {
  const taken = (await freePort()) + 1
  // By us, or by what listens there already.
  const holder = createServer().listen(taken, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve).once('error', resolve))
  expect(await Promise.all([freePort(), freePort()])).not.toContain(taken)
  holder.close()
})
