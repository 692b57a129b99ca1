import { expect, test } from '@jest/globals'

import { freshness } from './freshness.js'

const MINUTE = 60_000

/** Minutes: of its life, and since it was minted. */
test.each([
  [60, 0, 'fresh'],
  [60, 30, 'fresh'],
  [60, 30.1, 'renew'],
  [60, 45, 'renew'],
  [60, 45.1, 'expired'],
  // Half of its life is the 15 minutes: there is no time in which an old one is second best.
  [30, 15, 'fresh'],
  [30, 15.1, 'expired'],
  [29, 15, 'renew'],
  [20, 13.4, 'expired'],
  // STS's shortest.
  [15, 7.5, 'fresh'],
  [15, 10, 'renew'],
  [15, 10.1, 'expired'],
  [720, 704, 'renew'],
  [720, 706, 'expired'],
  // A clock that was set back: by a little, and by more than clocks differ.
  [60, -1, 'fresh'],
  [60, -1.1, 'expired'],
])('a credential of %d minutes is, after %d, %s', (life, age, expected) => {
  const mintedAt = Date.parse('2030-01-01T00:00:00Z')
  expect(freshness({ mintedAt, expiresAt: mintedAt + life * MINUTE }, mintedAt + age * MINUTE)).toBe(expected)
})
