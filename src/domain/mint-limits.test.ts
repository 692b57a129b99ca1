import { expect, test } from '@jest/globals'

import { type Asking, type LimitsPerMinute, MintLimits } from './mint-limits.js'

const asking = (wallet: string, session = wallet, parents: string[] = []): Asking => ({
  ...{ wallet, tokenSha256: session, parents: parents.map((each) => ({ wallet: each })) },
})

function asked(perMinute: LimitsPerMinute, asks: readonly [Asking, number][]) {
  const limits = new MintLimits(perMinute)
  return asks.map(([ask, seconds]) => limits.reached(ask, seconds * 1_000)?.limit)
}

test('without a limit nothing is refused', () => {
  const limits = new MintLimits({})
  for (let n = 0; n < 1_000; n += 1) expect(limits.reached(asking('a'), 0)).toBeUndefined()
})

test('a wallet has so many at once and so many a minute, over all its sessions', () => {
  const asks: [Asking, number][] = [
    ...[asking('a', '1'), asking('a', '2'), asking('a', '3')].map((ask) => [ask, 0] as [Asking, number]),
    ...[[asking('b', '4'), 0] as [Asking, number]],
    ...[29, 30, 59, 3_600, 3_600, 3_600].map((at) => [asking('a', '1'), at] as [Asking, number]),
  ]
  const refused = asked({ wallet: 2 }, asks).map((limit) => limit !== undefined)
  expect(refused).toEqual([false, false, true, false, true, false, true, false, false, true])
})

test('a session has its own, and the broker one for all', () => {
  const both = { session: 1, broker: 2 }
  const asks: [Asking, number][] = ['1', '1', '2', '3'].map((session) => [asking('a', session), 0])
  expect(asked(both, asks)).toEqual([undefined, 'session', undefined, 'broker'])
})

test('children use what the wallet at the top of their family has', () => {
  const asks: [Asking, number][] = [
    [asking('child-1', '1', ['root']), 0],
    [asking('grandchild', '2', ['child-1', 'root']), 0],
    [asking('root', '3'), 0],
    [asking('other', '4'), 0],
  ]
  expect(asked({ wallet: 1 }, asks)).toEqual([undefined, 'wallet', 'wallet', undefined])
})

test('what comes back after the seconds that were named is let through, and not one second before', () => {
  const limits = new MintLimits({ wallet: 7 })
  for (let n = 0; n < 7; n += 1) expect(limits.reached(asking('a'), 0)).toBeUndefined()
  const { retryAfterSeconds = 0 } = limits.reached(asking('a'), 0) ?? {}
  expect(limits.reached(asking('a'), (retryAfterSeconds - 1) * 1_000)).toBeDefined()
  expect(limits.reached(asking('a'), retryAfterSeconds * 1_000)).toBeUndefined()
})

test('a flood that is refused does not put off the time from which it is let through', () => {
  const limits = new MintLimits({ wallet: 1 })
  limits.reached(asking('a'), 0)
  for (let ms = 1; ms < 60_000; ms += 1) expect(limits.reached(asking('a'), ms)).toBeDefined()
  expect(limits.reached(asking('a'), 60_000)).toBeUndefined()
})
