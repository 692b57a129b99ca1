// The system's clock, believed only while it is plausible.

import { uptime } from 'node:os'

import type { Sealed } from '../domain/ledger/entry.js'
import { LedgerError } from '../domain/ledger-error.js'
import { anchorAfter, type Reading, runningProblem, startProblem } from '../domain/plausible-time.js'
import { LedgerRefused } from './open-ledger.js'

/** Where time comes from: what a test puts in place of the system's clocks. */
export type TimeSource = () => Reading

/** On Linux the monotonic clock stands still while the machine is asleep, and the uptime goes on. */
export function systemTime(): TimeSource {
  const start = { uptime: uptime(), monotonic: performance.now() }
  let asleep = 0
  let last: Reading = { wall: Date.now(), elapsed: 0 }
  return () => {
    const wall = Date.now()
    const awake = performance.now() - start.monotonic
    // The uptime is read from a file: only where the clocks part.
    if (Math.abs(wall - last.wall - (awake + asleep - last.elapsed)) > ASKED_AFTER_MS)
      asleep = Math.max(asleep, (uptime() - start.uptime) * 1000 - awake)
    return (last = { wall, elapsed: awake + asleep })
  }
}

const ASKED_AFTER_MS = 1_000

/** Hears once of each time that the clock becomes implausible, and of its end. */
export type OnChange = (problem: string | undefined) => void

export class CheckedClock {
  private anchor: Reading
  private reported = false

  /** `ledgerTime`: of the last entry of the ledger. Throws LedgerRefused when the clock does not fit it. */
  constructor(
    private readonly source: TimeSource,
    private ledgerTime: number,
    longestPauseDays: number,
    private readonly onChange: OnChange,
  ) {
    this.anchor = source()
    const problem = startProblem(this.anchor.wall, ledgerTime, longestPauseDays)
    if (problem !== undefined) throw new LedgerRefused(problem)
  }

  /** The system's time. Throws LedgerError while it is implausible. */
  readonly now = (): Date => {
    const reading = this.source()
    const problem = runningProblem(this.anchor, reading, this.ledgerTime)
    if (this.reported !== (problem !== undefined)) {
      this.reported = problem !== undefined
      this.onChange(problem)
    }
    if (problem !== undefined) throw new LedgerError('unavailable', problem)
    this.anchor = anchorAfter(this.anchor, reading)
    return new Date(reading.wall)
  }

  /** For what is shown while minting stands still: the time it should be where the system's is implausible. */
  readonly believed = (): Date => {
    const reading = this.source()
    const wrong = runningProblem(this.anchor, reading, this.ledgerTime) !== undefined
    return new Date(wrong ? this.anchor.wall + reading.elapsed - this.anchor.elapsed : reading.wall)
  }

  /** These are in the ledger now. */
  saw(entries: readonly Sealed[]): void {
    const last = entries.at(-1)
    if (last) this.ledgerTime = Date.parse(last.entry.time)
  }
}

const WATCHED_EVERY_MS = 10_000

/** Reads the clock now and then where no request does, so that a jump is in the log. Returns how to end it. */
export function watchClock(clock: CheckedClock): () => void {
  const timer = setInterval(() => {
    try {
      clock.now()
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      // Said already: see onChange.
    }
  }, WATCHED_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
