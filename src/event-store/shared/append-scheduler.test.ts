import { describe, expect, test } from '@jest/globals'

import { AppendScheduler } from './append-scheduler.js'

/** What `me` knows when these brokers, known before, appended in this order, 1 ms apart, the last one at time 0. */
function after(me: string, ...writers: string[]): AppendScheduler {
  const scheduler = new AppendScheduler(me)
  new Set(writers).forEach((by) => scheduler.observed(by, -1, -50))
  writers.forEach((by, index) => scheduler.observed(by, index, index - writers.length + 1))
  return scheduler
}
const holdBack = (writers: string[], at = 0) =>
  Object.fromEntries([...new Set(writers)].map((me) => [me, after(me, ...writers).backOffMs(at)]))

/** When `me` lets a chance pass, and how long it takes: it has appended at `begin`, and does so again every 5 ms. */
function chances(
  scheduler: AppendScheduler,
  me: string,
  begin: number,
  ms: number,
): [after: number, ms: number][] {
  const given: [number, number][] = []
  let index = 1_000
  for (let at = begin + 5; at < begin + ms; at += 5) {
    const wait = scheduler.backOffMs(at)
    if (wait > 0) {
      given.push([at - begin, wait])
      at += wait
      expect(scheduler.backOffMs(at)).toBe(0)
    }
    scheduler.observed(me, (index += 1), at)
  }
  return given
}

describe('a broker that appends alone', () => {
  test('waits for no broker, but yields once at first and every two seconds: another may have begun', () => {
    const scheduler = new AppendScheduler('a')
    expect(scheduler.backOffMs(0)).toBe(0)
    scheduler.appendTook(5)
    scheduler.observed('a', 0, 0)
    expect(chances(scheduler, 'a', 0, 5_000)).toEqual([
      [5, 10],
      [2_020, 10],
      [4_035, 10],
    ])
  })

  test('lets a longer one pass while it does not know how long an append takes', () => {
    const scheduler = new AppendScheduler('a')
    scheduler.observed('a', 0, 0)
    expect(chances(scheduler, 'a', 0, 100)).toEqual([[5, 55]])
  })

  test('lets one pass every quarter of a second where others are known', () => {
    const scheduler = after('a', 'b')
    scheduler.appendTook(5)
    scheduler.observed('a', 1, 20_000)
    expect(chances(scheduler, 'a', 20_000, 600)).toEqual([
      [5, 10],
      [270, 10],
      [535, 10],
    ])
  })

  test('lets none pass where it has paused itself', () => {
    const scheduler = after('a', 'b')
    for (let at = 20_000, index = 1; at < 30_000; at += 100) {
      expect(scheduler.backOffMs(at)).toBe(0)
      scheduler.observed('a', (index += 1), at)
    }
  })
})

test('the one served least recently goes at once, the others one slot later each', () => {
  expect(holdBack(['a', 'b', 'c', 'd'])).toEqual({ a: 0, b: 15, c: 30, d: 45 })
  expect(holdBack(['a', 'b', 'c', 'd', 'a'])).toEqual({ b: 0, c: 15, d: 30, a: 45 })
})

test('the wait is counted from the newest append, whenever it is asked for', () => {
  expect(after('c', 'a', 'b', 'c', 'd').backOffMs(10)).toBe(20)
  expect(after('c', 'a', 'b', 'c', 'd').backOffMs(30)).toBe(0)
})

test('a broker that appends many times in a row is in the rotation once', () => {
  expect(holdBack(['a', 'b', 'a', 'a', 'a'])).toEqual({ b: 0, a: 15 })
})

test('a broker that lets its slot pass is waited for half as long the next time, down to an eighth', () => {
  // b goes on alone. c, in whose place we are, comes after a, which was served least recently.
  const scheduler = after('c', 'a', 'c', 'b')
  const waits = [20, 40, 60, 80, 100].map((at, i) => {
    scheduler.observed('b', 3 + i, at)
    return scheduler.backOffMs(at)
  })
  expect(waits).toEqual([7.5, 3.75, 1.875, 1.875, 1.875])
  scheduler.observed('a', 8, 101)
  scheduler.observed('b', 9, 102)
  scheduler.observed('c', 10, 103)
  expect(scheduler.backOffMs(103)).toBe(30)
})

test('one that appended before its slot was over is given the whole of it again', () => {
  const scheduler = after('b', 'a', 'b')
  scheduler.observed('a', 2, 14)
  scheduler.observed('b', 3, 15)
  expect(scheduler.backOffMs(15)).toBe(15)
})

test('a broker that was silent for ten seconds is not waited for', () => {
  const scheduler = after('b', 'a', 'b')
  scheduler.observed('b', 2, 9_000)
  expect(scheduler.backOffMs(9_000)).toBeGreaterThan(0)
  scheduler.observed('b', 3, 11_000)
  expect(scheduler.backOffMs(11_015)).toBe(0)
})

test('slots do not shift when one of them passes', () => {
  const scheduler = after('d', 'a', 'b', 'c', 'd')
  expect(scheduler.backOffMs(16)).toBe(29)
  expect(scheduler.backOffMs(31)).toBe(14)
})

test('a newcomer, and one that is forgotten, goes at once: no one waits for it', () => {
  expect(after('new', 'a', 'b').backOffMs(0)).toBe(0)
  const silent = after('a', 'b', 'a', 'b')
  for (let at = 1_000, index = 3; at <= 12_000; at += 1_000, index += 1) silent.observed('b', index, at)
  expect(silent.backOffMs(12_000)).toBe(0)
})

test('a slot is six times the append time, as it is observed, never less than 15 ms and never more than 300', () => {
  const scheduler = after('b', 'a', 'b')
  expect(scheduler.slotMs).toBe(15)
  scheduler.appendTook(10)
  expect(scheduler.slotMs).toBe(60)
  expect(scheduler.backOffMs(0)).toBe(60)
  for (let i = 0; i < 60; i += 1) scheduler.appendTook(1)
  expect(scheduler.slotMs).toBe(15)
  for (let i = 0; i < 60; i += 1) scheduler.appendTook(1_000)
  expect(scheduler.slotMs).toBe(300)
})

test('entries reported again or in another order change nothing', () => {
  const scheduler = after('a', 'a', 'b', 'c')
  const order = () => scheduler.backOffMs(0)
  expect(order()).toBe(0)
  scheduler.observed('b', 1, 5)
  scheduler.observed('a', 0, 6)
  expect(order()).toBe(0)
  expect(after('c', 'a', 'b', 'c').backOffMs(5)).toBe(25)
})

interface Appended {
  by: string
  at: number
}

/** A broker that always has something to append, and hears of others' appends `lagMs` late. An append takes 5 ms. */
class Busy {
  readonly scheduler: AppendScheduler
  readonly won: number[] = []
  lost = 0
  private known = 0
  /** After a lost append it waits until it has heard who was faster. */
  private mustKnow = 0
  private append: { after: number; until: number } | undefined

  constructor(
    readonly name: string,
    private readonly beginsAt: number,
    private readonly lagMs: number,
  ) {
    this.scheduler = new AppendScheduler(name)
  }

  /** One millisecond. */
  tick(at: number, ledger: Appended[]): void {
    for (; (ledger[this.known]?.at ?? Infinity) <= at - this.lagMs; this.known += 1)
      this.scheduler.observed(ledger[this.known]?.by ?? '', this.known, at)
    if (this.append && at >= this.append.until) {
      if (this.append.after === ledger.length) this.win(at, ledger)
      else this.lose(at, ledger)
      this.append = undefined
    }
    const canAppend = !this.append && at >= this.beginsAt && this.known >= this.mustKnow
    if (canAppend && this.scheduler.backOffMs(at) <= 0) this.append = { after: this.known, until: at + 5 }
  }

  private win(at: number, ledger: Appended[]): void {
    ledger.push({ by: this.name, at })
    this.won.push(at)
    this.scheduler.observed(this.name, this.known, at)
    this.known = ledger.length
  }

  private lose(at: number, ledger: Appended[]): void {
    this.lost += 1
    this.scheduler.appendLost(at)
    this.mustKnow = ledger.length
  }
}

function simulate(brokers: readonly Busy[], untilMs: number): Appended[] {
  const ledger: Appended[] = []
  for (let at = 0; at < untilMs; at += 1) for (const broker of brokers) broker.tick(at, ledger)
  return ledger
}

test.each([
  { heard: 'an hour ago', within: 300 },
  { heard: 'never', within: 2_100 },
])('a broker that was heard of $heard is soon let in among those who never pause', ({ heard, within }) => {
  const a = new Busy('a', 0, 0)
  const b = new Busy('b', 20_000, 4)
  if (heard !== 'never') a.scheduler.observed('b', -1, 0)
  const ledger = simulate([a, b], 25_000)
  const since = b.won[0] ?? Infinity
  expect(since).toBeLessThan(20_000 + within)
  const shared = ledger.filter(({ at }) => at >= since)
  expect(b.won.length / shared.length).toBeGreaterThan(0.45)
})

test.each([
  { who: 'never heard of each other', lost: 3 + 2 + 1 },
  { who: 'heard of each other an hour ago', lost: 3 },
])('four brokers that begin at one moment and $who lose $lost appends, and then none', ({ who, lost }) => {
  const brokers = ['a', 'b', 'c', 'd'].map((name) => new Busy(name, 20_000, 4))
  if (who !== 'never heard of each other')
    for (const { scheduler } of brokers) {
      scheduler.appendTook(9)
      brokers.forEach(({ name }, i) => scheduler.observed(name, i - 4, 0))
    }
  const ledger = simulate(brokers, 25_000)
  expect(brokers.reduce((sum, broker) => sum + broker.lost, 0)).toBe(lost)
  for (const { won } of brokers) expect(Math.round((100 * won.length) / ledger.length)).toBe(25)
})

test('one that lost, and knows of others who are silent, waits for them once, not after each append of the winner', () => {
  const scheduler = after('d', 'a', 'b', 'c', 'd')
  scheduler.observed('winner', 4, 20_000)
  expect(scheduler.backOffMs(20_000)).toBe(0)
  scheduler.appendLost(20_000)
  expect(scheduler.backOffMs(20_000)).toBe(45)
  scheduler.observed('a', 5, 20_010)
  expect(scheduler.backOffMs(20_010)).toBe(20)
  scheduler.observed('winner', 6, 20_020)
  scheduler.appendLost(20_025)
  expect(scheduler.backOffMs(20_030)).toBe(0)
})

test('and waits for them again when it has appended and was silent again', () => {
  const scheduler = after('d', 'a', 'b', 'c', 'd')
  scheduler.appendLost(20_000)
  scheduler.observed('d', 4, 20_100)
  scheduler.observed('winner', 5, 40_000)
  scheduler.appendLost(40_000)
  expect(scheduler.backOffMs(40_000)).toBe(45)
})

test('one that takes longer to hear than the others gets in where those take scheduler without a pause', () => {
  const brokers = ['a', 'b', 'c'].map((name) => new Busy(name, 0, 0))
  const far = new Busy('far', 20_000, 9)
  const ledger = simulate([...brokers, far], 27_000)
  expect(far.won[0]).toBeLessThan(25_100)
  expect(
    ledger.filter(({ at }) => at >= 26_000 && at < 27_000).filter(({ by }) => by === 'far').length,
  ).toBeGreaterThan(10)
})
