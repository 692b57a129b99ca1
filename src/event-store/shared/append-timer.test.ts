import { expect, test } from '@jest/globals'

import type { Stored } from '../event-store.js'
import { AppendTimer } from './append-timer.js'
import { AppendScheduler } from './append-scheduler.js'

const entry = (index: number, by: string, upTo = index): Stored => ({ index, text: '', by, upTo })

/** What is left to others who may have begun, after somebody's first append. */
const CHANCE_MS = 60

/** `me`, on a clock that the test advances. */
function taking(me = 'me') {
  const clock = { ms: 0 }
  const scheduler = new AppendScheduler(me)
  return { clock, scheduler, taking: new AppendTimer(scheduler, me, () => clock.ms) }
}

test('alone, it is always our turn, a moment after the first append', async () => {
  const { taking: me, clock } = taking()
  expect(me.beforeAppend()).toBeUndefined()
  me.afterAppend(0)
  const turn = me.beforeAppend()
  clock.ms = CHANCE_MS
  await turn
  me.afterAppend(1)
  expect(me.beforeAppend()).toBeUndefined()
  expect([me.appends, me.lost, me.alone]).toEqual([2, 0, true])
})

test('no broker is alone until the others have been silent for a while', () => {
  const { taking: me, clock } = taking()
  me.saw([entry(0, 'other')])
  me.afterAppend(1)
  expect(me.alone).toBe(false)
  clock.ms = 10_001
  me.afterAppend(2)
  expect(me.alone).toBe(true)
})

test('a waiting broker goes when the one before it has appended', async () => {
  const { taking: me, clock } = taking()
  me.saw([entry(0, 'other')])
  me.afterAppend(1)
  const order: string[] = []
  const turn = me.beforeAppend()?.then(() => order.push('turn'))
  await new Promise(setImmediate)
  order.push('other appends')
  clock.ms = CHANCE_MS
  me.saw([entry(2, 'other')])
  await turn
  expect(order).toEqual(['other appends', 'turn'])
})

test('no turn comes in the middle of an append', () => {
  const { taking: me, scheduler } = taking()
  me.saw([entry(0, 'me'), entry(1, 'other')])
  expect(scheduler.backOffMs(0)).toBe(0)
  me.saw([entry(2, 'third', 4), entry(3, 'third', 4)])
  expect(scheduler.backOffMs(0)).toBe(0)
  me.saw([entry(4, 'third', 4)])
  me.afterAppend(5)
  expect(scheduler.backOffMs(0)).toBe(CHANCE_MS + 30)
})

test('an append takes until it is seen by those who follow', async () => {
  const { taking: me, scheduler, clock } = taking()
  await me.beforeAppend()
  clock.ms = 5
  me.afterAppend(3)
  expect(scheduler.slotMs).toBe(15)
  clock.ms = 20
  me.saw([entry(2, 'me', 3)])
  expect(scheduler.slotMs).toBe(15)
  me.saw([entry(3, 'me', 3)])
  expect(scheduler.slotMs).toBe(6 * 20)
})

test('one that was seen before its answer came took until the answer', async () => {
  const { taking: me, scheduler, clock } = taking()
  await me.beforeAppend()
  me.saw([entry(0, 'me', 0)])
  clock.ms = 10
  me.afterAppend(0)
  expect(scheduler.slotMs).toBe(60)
})

test('lost and failed appends are counted, each for what they are, and move no turn', () => {
  const { taking: me, scheduler } = taking()
  me.saw([entry(0, 'other')])
  me.afterAppend(1)
  me.afterAppend('lost')
  me.afterAppend('failed')
  me.afterAppend('failed')
  const { appends, lost, failed } = me
  expect({ appends, lost, failed }).toEqual({ appends: 4, lost: 1, failed: 2 })
  expect(scheduler.backOffMs(0)).toBe(CHANCE_MS + 15)
})
