import { describe, expect, test } from '@jest/globals'

import { MAX_RETRY_AFTER_MS, Pace, type PaceLimits } from './pace.js'

const LIMITS: PaceLimits = { gapMs: 100, idleMs: 1_000, backoffMs: 250, maxBackoffMs: 60_000 }
const [WAITED, IDLE] = [true, false]

const pace = (chance = 0.999_999, limits = LIMITS) => new Pace(limits, () => chance)
const OVERLOADED = { overloaded: true, retryAfterMs: 0 }
const FAILED = { overloaded: false, retryAfterMs: 0 }

test('at first it may be asked at once', () => {
  expect(pace().readyAt(WAITED)).toBeLessThanOrEqual(0)
  expect(pace().readyAt(IDLE)).toBeLessThanOrEqual(0)
})

test('a prompt answer leaves the smallest gap, between starts, while a mint waits, and a second otherwise', () => {
  const one = pace()
  one.succeeded(5_000, 5_020)
  expect(one.readyAt(WAITED)).toBe(5_100)
  expect(one.readyAt(IDLE)).toBe(6_000)
})

test('a slow answer leaves a gap as long as it took, up to the idle one, and a prompt one ends that', () => {
  const one = pace()
  one.succeeded(0, 400)
  expect(one.readyAt(WAITED)).toBe(800)
  one.succeeded(10_000, 14_000)
  expect(one.readyAt(WAITED)).toBe(15_000)
  one.succeeded(20_000, 20_020)
  expect(one.readyAt(WAITED)).toBe(20_100)
})

describe('a 429 or 5xx', () => {
  test('doubles the gap that follows the back-off, up to the idle one; prompt answers take it back slowly', () => {
    const one = pace()
    const gaps = [200, 400, 800, 1_000, 1_000].map((gap, i) => {
      one.failed(i * 1_000_000, i * 1_000_000 + 10, OVERLOADED)
      const copy = Object.assign(pace(), one)
      copy.succeeded(0, 10)
      return [copy.readyAt(WAITED), gap * 0.9]
    })
    for (const [found, wanted] of gaps) expect(found).toBeCloseTo(wanted as number, 6)
    for (let times = 0; times < 22; times += 1) one.succeeded(0, 10)
    expect(one.readyAt(WAITED)).toBe(LIMITS.gapMs)
  })

  test('that names a time is not asked before it, even by a waiting mint, and never forgotten for longer than an hour', () => {
    const one = pace()
    one.failed(0, 10, { overloaded: true, retryAfterMs: 300_000 })
    expect([one.readyAt(WAITED), one.readyAt(IDLE)]).toEqual([300_010, 300_010])
    expect([one.backsOff(300_009), one.backsOff(300_010)]).toEqual([true, false])
    one.failed(0, 10, { overloaded: true, retryAfterMs: 86_400_000 })
    expect(one.readyAt(WAITED)).toBe(10 + MAX_RETRY_AFTER_MS)
  })

  test('that names a time shorter than the back-off is asked after the back-off', () => {
    const one = pace(0)
    for (let times = 0; times < 6; times += 1) one.failed(0, 0, { overloaded: true, retryAfterMs: 1_000 })
    expect(one.readyAt(WAITED)).toBe((250 * 2 ** 5) / 2)
  })
})

test('other failures back off, and leave the gap as it is', () => {
  const one = pace()
  one.failed(0, 0, FAILED)
  expect(one.readyAt(WAITED)).toBeCloseTo(1_000 / 4, 0)
  one.succeeded(1_000, 1_020)
  expect(one.readyAt(WAITED)).toBe(1_100)
  expect(one.backsOff(1_000)).toBe(false)
})
