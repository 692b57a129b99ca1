import { describe, expect, test } from '@jest/globals'

import { Turns } from './turns.js'

/** What `me` knows when these brokers, known before, appended in this order, 1 ms apart, the last one at time 0. */
function after(me: string, ...writers: string[]): Turns {
  const turns = new Turns(me)
  new Set(writers).forEach((by) => turns.saw(by, -1, -50))
  writers.forEach((by, index) => turns.saw(by, index, index - writers.length + 1))
  return turns
}
const holdBack = (writers: string[], at = 0) =>
  Object.fromEntries([...new Set(writers)].map((me) => [me, after(me, ...writers).holdBackMs(at)]))

/** When `me` lets a chance pass, and how long it takes: it has appended at `begin`, and does so again every 5 ms. */
function chances(turns: Turns, me: string, begin: number, ms: number): [after: number, ms: number][] {
  const given: [number, number][] = []
  let index = 1_000
  for (let at = begin + 5; at < begin + ms; at += 5) {
    const wait = turns.holdBackMs(at)
    if (wait > 0) {
      given.push([at - begin, wait])
      at += wait
      expect(turns.holdBackMs(at)).toBe(0)
    }
    turns.saw(me, (index += 1), at)
  }
  return given
}

describe('a broker that appends alone', () => {
  test('waits for nobody, but lets a chance pass at once and every two seconds: somebody may have begun', () => {
    const turns = new Turns('a')
    expect(turns.holdBackMs(0)).toBe(0)
    turns.took(5)
    turns.saw('a', 0, 0)
    expect(chances(turns, 'a', 0, 5_000)).toEqual([
      [5, 10],
      [2_020, 10],
      [4_035, 10],
    ])
  })

  test('lets a longer one pass while it does not know how long an append takes', () => {
    const turns = new Turns('a')
    turns.saw('a', 0, 0)
    expect(chances(turns, 'a', 0, 100)).toEqual([[5, 55]])
  })

  test('lets one pass every quarter of a second where others are known', () => {
    const turns = after('a', 'b')
    turns.took(5)
    turns.saw('a', 1, 20_000)
    expect(chances(turns, 'a', 20_000, 600)).toEqual([
      [5, 10],
      [270, 10],
      [535, 10],
    ])
  })

  test('lets none pass where it has paused itself', () => {
    const turns = after('a', 'b')
    for (let at = 20_000, index = 1; at < 30_000; at += 100) {
      expect(turns.holdBackMs(at)).toBe(0)
      turns.saw('a', (index += 1), at)
    }
  })
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

test('a broker that lets its slot pass is waited for half as long the next time, down to an eighth', () => {
  // b goes on alone. c, in whose place we are, comes after a, which was served least recently.
  const turns = after('c', 'a', 'c', 'b')
  const waits = [20, 40, 60, 80, 100].map((at, i) => {
    turns.saw('b', 3 + i, at)
    return turns.holdBackMs(at)
  })
  expect(waits).toEqual([7.5, 3.75, 1.875, 1.875, 1.875])
  turns.saw('a', 8, 101)
  turns.saw('b', 9, 102)
  turns.saw('c', 10, 103)
  expect(turns.holdBackMs(103)).toBe(30)
})

test('one that appended before its slot was over is given the whole of it again', () => {
  const turns = after('b', 'a', 'b')
  turns.saw('a', 2, 14)
  turns.saw('b', 3, 15)
  expect(turns.holdBackMs(15)).toBe(15)
})

test('a broker that was silent for ten seconds is not waited for', () => {
  const turns = after('b', 'a', 'b')
  turns.saw('b', 2, 9_000)
  expect(turns.holdBackMs(9_000)).toBeGreaterThan(0)
  turns.saw('b', 3, 11_000)
  expect(turns.holdBackMs(11_015)).toBe(0)
})

test('slots do not shift when one of them passes', () => {
  const turns = after('d', 'a', 'b', 'c', 'd')
  expect(turns.holdBackMs(16)).toBe(29)
  expect(turns.holdBackMs(31)).toBe(14)
})

test('a newcomer, and one that is forgotten, goes at once: nobody waits for it', () => {
  expect(after('new', 'a', 'b').holdBackMs(0)).toBe(0)
  const silent = after('a', 'b', 'a', 'b')
  for (let at = 1_000, index = 3; at <= 12_000; at += 1_000, index += 1) silent.saw('b', index, at)
  expect(silent.holdBackMs(12_000)).toBe(0)
})

test('a slot is six times the append time, as it is observed, never less than 15 ms and never more than 300', () => {
  const turns = after('b', 'a', 'b')
  expect(turns.slotMs).toBe(15)
  turns.took(10)
  expect(turns.slotMs).toBe(60)
  expect(turns.holdBackMs(0)).toBe(60)
  for (let i = 0; i < 60; i += 1) turns.took(1)
  expect(turns.slotMs).toBe(15)
  for (let i = 0; i < 60; i += 1) turns.took(1_000)
  expect(turns.slotMs).toBe(300)
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

interface Appended {
  by: string
  at: number
}

/** A broker that always has something to append, and hears of others' appends `lagMs` late. An append takes 5 ms. */
class Busy {
  readonly turns: Turns
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
    this.turns = new Turns(name)
  }

  /** One millisecond. */
  tick(at: number, ledger: Appended[]): void {
    for (; (ledger[this.known]?.at ?? Infinity) <= at - this.lagMs; this.known += 1)
      this.turns.saw(ledger[this.known]?.by ?? '', this.known, at)
    if (this.append && at >= this.append.until) {
      if (this.append.after === ledger.length) this.win(at, ledger)
      else this.lose(at, ledger)
      this.append = undefined
    }
    const canAppend = !this.append && at >= this.beginsAt && this.known >= this.mustKnow
    if (canAppend && this.turns.holdBackMs(at) <= 0) this.append = { after: this.known, until: at + 5 }
  }

  private win(at: number, ledger: Appended[]): void {
    ledger.push({ by: this.name, at })
    this.won.push(at)
    this.turns.saw(this.name, this.known, at)
    this.known = ledger.length
  }

  private lose(at: number, ledger: Appended[]): void {
    this.lost += 1
    this.turns.lost(at)
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
  if (heard !== 'never') a.turns.saw('b', -1, 0)
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
    for (const { turns } of brokers) {
      turns.took(9)
      brokers.forEach(({ name }, i) => turns.saw(name, i - 4, 0))
    }
  const ledger = simulate(brokers, 25_000)
  expect(brokers.reduce((sum, broker) => sum + broker.lost, 0)).toBe(lost)
  for (const { won } of brokers) expect(Math.round((100 * won.length) / ledger.length)).toBe(25)
})

test('one that lost, and knows of others who are silent, waits for them once, not after each append of the winner', () => {
  const turns = after('d', 'a', 'b', 'c', 'd')
  turns.saw('winner', 4, 20_000)
  expect(turns.holdBackMs(20_000)).toBe(0)
  turns.lost(20_000)
  expect(turns.holdBackMs(20_000)).toBe(45)
  turns.saw('a', 5, 20_010)
  expect(turns.holdBackMs(20_010)).toBe(20)
  turns.saw('winner', 6, 20_020)
  turns.lost(20_025)
  expect(turns.holdBackMs(20_030)).toBe(0)
})

test('and waits for them anew when it has appended and was silent again', () => {
  const turns = after('d', 'a', 'b', 'c', 'd')
  turns.lost(20_000)
  turns.saw('d', 4, 20_100)
  turns.saw('winner', 5, 40_000)
  turns.lost(40_000)
  expect(turns.holdBackMs(40_000)).toBe(45)
})

test('one that takes longer to hear than the others gets in where those take turns without a pause', () => {
  const brokers = ['a', 'b', 'c'].map((name) => new Busy(name, 0, 0))
  const far = new Busy('far', 20_000, 9)
  const ledger = simulate([...brokers, far], 27_000)
  expect(far.won[0]).toBeLessThan(25_100)
  expect(
    ledger.filter(({ at }) => at >= 26_000 && at < 27_000).filter(({ by }) => by === 'far').length,
  ).toBeGreaterThan(10)
})
