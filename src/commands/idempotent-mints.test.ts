import { expect, test } from '@jest/globals'

import { BrokerError } from '../domain/errors.js'
import { LedgerError, type LedgerErrorCode } from '../domain/ledger-error.js'
import { IdempotentMints, type ReplyBounds } from './idempotent-mints.js'

const AT = Date.parse('2026-11-27T12:00:00Z')
const BOUNDS: ReplyBounds = { keptMs: 300_000, replies: 10, repliesOfSession: 3, bytes: 10_000 }

class Bench {
  minted = 0
  private readonly mints: IdempotentMints

  constructor(bounds: Partial<ReplyBounds> = {}) {
    this.mints = new IdempotentMints({ ...BOUNDS, ...bounds })
  }

  /** Resolves with the number of the mint. */
  async mint(
    key: string,
    { ask = 'ask', session = 'a', atMs = 0, livesMs = 3_600_000, fails = (): unknown => undefined } = {},
  ): Promise<number> {
    const caller = { wallet: `0x${session}`, tokenSha256: session, at: new Date(AT + atMs) }
    const { minted } = await this.mints.run(caller, { key, ask }, async (begun) => {
      const number = (this.minted += 1)
      const failure = fails()
      if (failure instanceof LedgerError) throw failure
      begun()
      await new Promise((resolve) => setImmediate(resolve))
      if (failure instanceof Error) throw failure
      return { number, expiresAt: new Date(AT + atMs + livesMs) }
    })
    return minted.number
  }
}

test('the same session, key and ask is one mint, also at the same moment', async () => {
  const bench = new Bench()
  expect(await Promise.all([bench.mint('k'), bench.mint('k'), bench.mint('k')])).toEqual([1, 1, 1])
  expect(await bench.mint('k', { atMs: 299_999 })).toBe(1)
  expect(await bench.mint('k', { atMs: 300_000 })).toBe(2)
})

test('another ask under the key is refused, while the first is under way and after it', async () => {
  const bench = new Bench()
  const [first, other] = await Promise.allSettled([bench.mint('k'), bench.mint('k', { ask: 'more' })])
  expect(first).toMatchObject({ status: 'fulfilled', value: 1 })
  expect(other).toMatchObject({ reason: { reason: 'idempotency-key-reused' } })
  await expect(bench.mint('k', { ask: 'more' })).rejects.toMatchObject({ reason: 'idempotency-key-reused' })
  expect(bench.minted).toBe(1)
})

test('another session gets nothing of it', async () => {
  const bench = new Bench()
  expect([await bench.mint('k'), await bench.mint('k', { session: 'b' })]).toEqual([1, 2])
})

test('a reply whose credential has expired is not given again', async () => {
  const bench = new Bench()
  await bench.mint('older')
  await bench.mint('k', { livesMs: 60_000 })
  expect(await bench.mint('k', { atMs: 59_999 })).toBe(2)
  expect(await bench.mint('k', { atMs: 60_000 })).toBe(3)
})

test.each<[LedgerErrorCode | 'after the entry', boolean]>([
  ['unavailable', false],
  ['failed', false],
  ['cut-off', false],
  ['in-doubt', true],
  ['after the entry', true],
])('a failure (%s) is the answer to a retry: %s', async (code, kept) => {
  const bench = new Bench()
  const error = code === 'after the entry' ? new BrokerError('cut-off', 'later') : new LedgerError(code, 'no')
  await expect(bench.mint('k', { fails: () => error })).rejects.toBe(error)
  if (kept) await expect(bench.mint('k')).rejects.toBe(error)
  else expect(await bench.mint('k')).toBe(2)
  expect(bench.minted).toBe(kept ? 1 : 2)
})

test('a session pushes out its own replies, and not those of others', async () => {
  const bench = new Bench()
  await bench.mint('k', { session: 'b' })
  for (let key = 0; key < 50; key += 1) await bench.mint(`k${key}`)
  expect(await bench.mint('k', { session: 'b' })).toBe(1)
  expect(await bench.mint('k47')).toBe(49)
  expect(await bench.mint('k46')).toBe(52)
})

test.each([{ replies: 2 }, { bytes: 150 }])('what is kept is bounded: %j', async (bounds) => {
  const bench = new Bench(bounds)
  for (const session of ['a', 'b', 'c']) await bench.mint('k', { session })
  expect(await bench.mint('k', { session: 'c' })).toBe(3)
  expect(await bench.mint('k', { session: 'a' })).toBe(4)
})
