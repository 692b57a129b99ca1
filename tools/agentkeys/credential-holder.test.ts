import { expect, test } from '@jest/globals'

import type { HeldCredentials } from './held-credentials.js'

import { CredentialHolder } from './credential-holder.js'

const HOUR = 3_600_000

/** A clock that is set, and a mint that is answered by command. */
function world() {
  let now = 0
  const mints: { resolve(): void; reject(error: Error): void }[] = []
  const failed: string[] = []
  const mint = () =>
    new Promise<HeldCredentials>((resolve, reject) => {
      const mintId = String(mints.length)
      const held = { mintId, mintedAt: now, expiresAt: now + HOUR } as HeldCredentials
      mints.push({ resolve: () => resolve(held), reject })
    })
  const holder = new CredentialHolder({
    mint,
    now: () => now,
    onRenewalFailed: ({ message }) => failed.push(message),
  })
  return { holder, mints, failed, at: (ms: number) => (now = ms) }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('however many ask at once, there is one mint', async () => {
  const { holder, mints } = world()
  const all = Promise.all(Array.from({ length: 200 }, () => holder.get()))
  mints[0]?.resolve()
  expect(new Set((await all).map(({ mintId }) => mintId))).toEqual(new Set(['0']))
  expect(mints.length).toBe(1)
})

test('until half of its life it is served without a mint', async () => {
  const { holder, mints, at } = world()
  const first = holder.get()
  mints[0]?.resolve()
  await first
  at(HOUR / 2)
  expect((await holder.get()).mintId).toBe('0')
  expect(mints.length).toBe(1)
})

test('past half of its life it is served, and renewed in the background once', async () => {
  const { holder, mints, at } = world()
  const first = holder.get()
  mints[0]?.resolve()
  await first
  at(HOUR / 2 + 1)
  expect((await holder.get()).mintId).toBe('0')
  expect((await holder.get()).mintId).toBe('0')
  expect(mints.length).toBe(2)
  mints[1]?.resolve()
  await settled()
  expect((await holder.get()).mintId).toBe('1')
})

test('a renewal that fails is reported, tried again after a while, and the old credentials are served on', async () => {
  const { holder, mints, failed, at } = world()
  const first = holder.get()
  mints[0]?.resolve()
  await first
  at(HOUR / 2 + 1)
  await holder.get()
  mints[1]?.reject(new Error('broker down'))
  await settled()
  expect(failed).toEqual(['broker down'])
  expect((await holder.get()).mintId).toBe('0')
  expect(mints.length).toBe(2)
  at(HOUR / 2 + 5_001)
  await holder.get()
  expect(mints.length).toBe(3)
})

test('what has expired is never served: the caller waits for the mint, and hears why it failed', async () => {
  const { holder, mints, at } = world()
  const first = holder.get()
  mints[0]?.resolve()
  await first
  at(HOUR)
  const late = holder.get()
  mints[1]?.reject(new Error('broker down'))
  await expect(late).rejects.toThrow('broker down')
  const later = holder.get()
  mints[2]?.resolve()
  expect((await later).mintId).toBe('2')
})

test('a clock that was set back does not make an old credential new', async () => {
  const { holder, mints, at } = world()
  at(HOUR * 10)
  const first = holder.get()
  mints[0]?.resolve()
  await first
  at(0)
  const again = holder.get()
  mints[1]?.resolve()
  expect((await again).mintId).toBe('1')
})
