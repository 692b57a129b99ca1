import { expect, test } from '@jest/globals'

import { Turns } from './turns.js'

/** What `me` knows when these brokers appended in this order, 1 ms apart, the last one at time 0. */
function after(me: string, ...writers: string[]): Turns {
  const turns = new Turns(me)
  writers.forEach((by, index) => turns.saw(by, index, index - writers.length + 1))
  return turns
}
const holdBack = (writers: string[], at = 0) =>
  Object.fromEntries([...new Set(writers)].map((me) => [me, after(me, ...writers).holdBackMs(at)]))

test('a broker that is alone never waits', () => {
  expect(new Turns('a').holdBackMs(0)).toBe(0)
  expect(after('a', 'a', 'a').holdBackMs(0)).toBe(0)
})

test('the one served least recently goes at once, the others one slot later each', () => {
  expect(holdBack(['a', 'b', 'c', 'd'])).toEqual({ a: 0, b: 15, c: 30, d: 45 })
  expect(holdBack(['a', 'b', 'c', 'd', 'a'])).toEqual({ b: 0, c: 15, d: 30, a: 45 })
})

test('the wait is counted from the newest append, whenever it is asked for', () => {
  expect(after('c', 'a', 'b', 'c', 'd').holdBackMs(10)).toBe(20)
  expect(after('c', 'a', 'b', 'c', 'd').holdBackMs(30)).toBe(0)
})

test('whoever appends many times in a row is in the circle once', () => {
  expect(holdBack(['a', 'b', 'a', 'a', 'a'])).toEqual({ b: 0, a: 15 })
})

test('a broker that let its slot pass is not waited for, until it appends again', () => {
  const turns = after('c', 'a', 'b', 'c')
  // a and b had their slots, and c went in its own.
  turns.saw('c', 3, 31)
  expect(turns.holdBackMs(31)).toBe(0)
  turns.saw('a', 4, 32)
  turns.saw('c', 5, 33)
  expect(turns.holdBackMs(33)).toBe(15)
})

test('slots do not shift when one of them passes', () => {
  const turns = after('d', 'a', 'b', 'c', 'd')
  expect(turns.holdBackMs(16)).toBe(29)
  expect(turns.holdBackMs(31)).toBe(14)
})

test('a newcomer, and one that was silent, goes at once: nobody waits for it', () => {
  expect(after('new', 'a', 'b').holdBackMs(0)).toBe(0)
  const idle = after('a', 'a', 'b')
  expect(idle.holdBackMs(15)).toBe(0)
  idle.saw('b', 2, 40)
  expect(idle.holdBackMs(40)).toBe(0)
})

test('a slot is six times the append time, as it is observed, and never less than 15 ms', () => {
  const turns = after('b', 'a', 'b')
  expect(turns.slotMs).toBe(15)
  turns.took(10)
  expect(turns.slotMs).toBe(60)
  expect(turns.holdBackMs(0)).toBe(60)
  for (let i = 0; i < 60; i += 1) turns.took(1)
  expect(turns.slotMs).toBe(15)
})

test('entries told again or in another order change nothing', () => {
  const turns = after('a', 'a', 'b', 'c')
  const order = () => turns.holdBackMs(0)
  expect(order()).toBe(0)
  turns.saw('b', 1, 5)
  turns.saw('a', 0, 6)
  expect(order()).toBe(0)
  expect(after('c', 'a', 'b', 'c').holdBackMs(5)).toBe(25)
})
