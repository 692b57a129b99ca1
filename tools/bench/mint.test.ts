import { expect, test } from '@jest/globals'

import { figures } from './mint.js'

/** A round of so many mints a second; the rest of it does not matter here. */
function round(perSecond: number) {
  const load = { requests: perSecond, seconds: 1, p50Ms: 1, p99Ms: 2, maxMs: 3, maxReplyBytes: 2_000 }
  return { ...load, perSecond, cpuUs: 100, mainThreadUs: 1e6 / perSecond, utilisation: 1 }
}

function turn(recorded: number, unproved: number, unrecorded: number) {
  const mints = { recorded: round(recorded), unproved: round(unproved), unrecorded: round(unrecorded) }
  return { ...mints, signed: round(recorded * 0.98), unsigned: round(recorded) }
}

test('a ratio is of neighbours: a machine that slows down between turns does not change it', () => {
  const turns = [turn(800, 900, 1_000), turn(80, 90, 100), turn(8, 9, 10)]
  const { perSecond, ratio, receipts } = figures(turns, 64)
  expect({ perSecond, ratio, receipts: receipts.ratio }).toEqual({
    perSecond: 80,
    ratio: 0.8,
    receipts: 80 / 90,
  })
})

test('one turn that was disturbed does not count', () => {
  const { ratio, receipts } = figures(
    [turn(700, 800, 1_000), turn(100, 800, 1_000), turn(700, 800, 1_000)],
    64,
  )
  expect([ratio, receipts]).toEqual([0.7, { withoutPerSecond: 800, ratio: 0.875 }])
})

test('what signing costs is the ratio of neighbours too, in mints and in the time of the main thread', () => {
  const { signing } = figures([turn(1_000, 1, 1), turn(100, 1, 1), turn(500, 1, 1)], 64)
  expect(signing.ratio).toBeCloseTo(0.98)
  expect(signing.mainThreadRatio).toBeCloseTo(1 / 0.98)
  expect([signing.perSecond, signing.withoutPerSecond]).toEqual([490, 500])
})
