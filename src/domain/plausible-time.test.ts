import { describe, expect, test } from '@jest/globals'

import { anchorAfter, isFromFuture, runningProblem, startProblem } from './plausible-time.js'

const NOW = Date.parse('2026-11-20T12:00:00.000Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY

describe('at start, the clock is held against the last entry of the ledger', () => {
  test.each([
    ['the same moment', 0, 30, undefined],
    ['four minutes behind it, as another broker may be', -4 * MINUTE, 30, undefined],
    ['more than four minutes behind it', -4 * MINUTE - 1, 30, 'run verify-ledger'],
    ['five years behind it', -5 * YEAR, 30, 'correct the clock'],
    ['behind it, however long a pause is expected', -HOUR, 36_500, 'correct the clock'],
    ['thirty days on', 30 * DAY, 30, undefined],
    ['longer than that', 30 * DAY + 1, 30, 'BROKER_LONGEST_PAUSE_DAYS=31'],
    ['as long as the operator says', 90 * DAY, 90, undefined],
    ['twenty years on', 20 * YEAR, 90, 'BROKER_LONGEST_PAUSE_DAYS=7300'],
    ['no time at all', Infinity, 36_500, 'correct the clock'],
  ])('%s', (_, later, days, says) => {
    const problem = startProblem(NOW + later, NOW, days)
    if (says === undefined) expect(problem).toBeUndefined()
    else expect(problem).toContain(says)
  })
})

describe('while running, it is held against the time that has passed', () => {
  const anchor = { wall: NOW, elapsed: 0 }
  test.each([
    ['no jump', 0, HOUR, undefined],
    ['months without a mint', 0, 300 * DAY, undefined],
    ['a weekend that a virtual machine stood still', 3 * DAY, HOUR, undefined],
    ['a week forward', 7 * DAY, HOUR, undefined],
    ['more than a week forward', 7 * DAY + 1, HOUR, 'restart the broker'],
    ['twenty years forward', 20 * YEAR, HOUR, 'correct the clock'],
    ['a step back of seconds', -10_000, HOUR, undefined],
    ['a step back by a time zone', -14 * HOUR, 20 * HOUR, undefined],
    ['more than a day back', -DAY - 1, 3 * DAY, 'restart the broker'],
    ['a step back behind the ledger', -2 * HOUR, HOUR, "the ledger's last entry"],
  ])('%s', (_, jump, elapsed, says) => {
    const problem = runningProblem(anchor, { wall: NOW + elapsed + jump, elapsed }, NOW)
    if (says === undefined) expect(problem).toBeUndefined()
    else expect(problem).toContain(says)
  })
})

test('jumps add up over a day of running time, and no longer', () => {
  expect(anchorAfter({ wall: NOW, elapsed: 0 }, { wall: NOW + HOUR, elapsed: DAY - 1 }).elapsed).toBe(0)
  expect(anchorAfter({ wall: NOW, elapsed: 0 }, { wall: NOW + HOUR, elapsed: DAY }).elapsed).toBe(DAY)
})

test.each([
  ['2026-11-20T12:04:00.000Z', false],
  ['2026-11-20T12:04:00.001Z', true],
  ['9998-01-01T00:00:00.000Z', true],
  ['1998-01-01T00:00:00.000Z', false],
])('an entry of %s, read at 12:00, is from the future: %s', (time, expected) => {
  expect(isFromFuture(time, new Date(NOW))).toBe(expected)
})
