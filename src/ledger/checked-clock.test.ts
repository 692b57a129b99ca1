import { expect, test } from '@jest/globals'

import { CheckedClock, systemTime } from './checked-clock.js'
import { LedgerRefused } from './open-ledger.js'

const START = Date.parse('2026-11-20T12:00:00.000Z')
const HOUR = 3_600_000
const DAY = 24 * HOUR

function clockAt(start = START) {
  const reading = { wall: start, elapsed: 0 }
  const said: (string | undefined)[] = []
  const clock = new CheckedClock(
    () => ({ ...reading }),
    START,
    30,
    (problem) => said.push(problem),
  )
  const pass = (ms: number) => {
    reading.wall += ms
    reading.elapsed += ms
  }
  const jump = (ms: number) => (reading.wall += ms)
  return { clock, pass, jump, said }
}

test('a jump of years stops the clock, is said once, and ends with the jump', () => {
  const { clock, pass, jump, said } = clockAt()
  pass(HOUR)
  expect(clock.now().getTime()).toBe(START + HOUR)
  jump(20 * 365 * DAY)
  expect(clock.now).toThrow('the system clock says 2046')
  expect(clock.now).toThrow(/by the time that has passed it should be about 2026-11-20T13:00:00/)
  expect(clock.believed().getTime()).toBe(START + HOUR)
  expect(said).toEqual([expect.stringContaining('2046')])
  jump(-20 * 365 * DAY)
  expect(clock.now().getTime()).toBe(START + HOUR)
  expect(said).toEqual([expect.stringContaining('2046'), undefined])
})

test('a machine that sleeps every night, uncounted, goes on for ever', () => {
  const { clock, pass, jump } = clockAt()
  for (let day = 0; day < 100; day += 1) {
    pass(8 * HOUR)
    jump(16 * HOUR)
    expect(clock.now().getTime()).toBe(START + (day + 1) * DAY)
  }
})

test('a clock that runs a hundred times as fast does not get far', () => {
  const { clock, pass, jump } = clockAt()
  const run = () => {
    for (let hour = 0; hour < 100 * 24; hour += 1) {
      pass(HOUR)
      jump(99 * HOUR)
      clock.now()
    }
  }
  expect(run).toThrow('by the time that has passed')
  expect(clock.believed().getTime()).toBeLessThan(START + 30 * DAY)
})

test('entries of the ledger are the earliest that the clock may say', () => {
  const { clock, pass, jump } = clockAt()
  pass(2 * HOUR)
  clock.saw([{ text: '', leafHash: '', entry: { time: '2026-11-20T14:00:00.000Z' } as never }])
  expect(clock.now().getTime()).toBe(START + 2 * HOUR)
  jump(-HOUR)
  expect(clock.now).toThrow("the ledger's last entry is of 2026-11-20T14:00:00.000Z")
  pass(HOUR)
  expect(clock.now().getTime()).toBe(START + 2 * HOUR)
})

test('a start outside the bounds is refused', () => {
  expect(() => clockAt(START + 31 * DAY)).toThrow(LedgerRefused)
  expect(() => clockAt(START - HOUR)).toThrow(LedgerRefused)
})

test("the system's clocks are read together, and agree", () => {
  const time = systemTime()
  const [first, second] = [time(), time()]
  expect(second.elapsed).toBeGreaterThanOrEqual(first.elapsed)
  expect(Math.abs(second.wall - Date.now())).toBeLessThan(60_000)
})
