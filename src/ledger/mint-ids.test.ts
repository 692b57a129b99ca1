import { expect, test } from '@jest/globals'
import { validate, version } from 'uuid'

import { MintIds } from './mint-ids.js'

function idsOf(count: number, clock: () => Date): string[] {
  const ids = new MintIds()
  return Array.from({ length: count }, () => ids.next(clock()))
}

const standing = () => new Date('2026-11-20T12:00:00.000Z')

test('ids are UUIDv7s that only grow, whatever the clock does', () => {
  let at = standing().getTime()
  const steps = [1, 0, 0, -5, 3, 0]
  const ids = idsOf(600, () => new Date((at += steps[at % steps.length] ?? 0)))
  expect(ids.filter((id) => !validate(id) || version(id) !== 7)).toEqual([])
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
})

test('what is random in them is never used twice, over more ids than are drawn for at once', () => {
  // The last 42 bits: what the sequence number leaves.
  const tails = idsOf(2_000, standing).map((id) => id.slice(-10))
  expect(new Set(tails).size).toBe(tails.length)
})

test('of two brokers with the same clock each has ids of its own', () => {
  const ids = [...idsOf(300, standing), ...idsOf(300, standing)]
  expect(new Set(ids).size).toBe(ids.length)
})
