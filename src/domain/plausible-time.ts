// Is the system's clock to be believed? What is recorded with a wrong time stays wrong: no later entry may have an
// earlier one, and a token of the year 2046 is good in 2046. docs/design.md, "Time".

/**
 * How far the clocks of brokers that share a ledger may be apart. Less than the five minutes that STS bears and that
 * verify-ledger counts as honest, by more than a caller waits for the ledger.
 */
export const CLOCK_SKEW_MS = 4 * 60_000

const DAY_MS = 86_400_000

/** A virtual machine may stand still for a weekend, and nothing inside it counts that time. */
const MOST_FORWARD_MS = 7 * DAY_MS

/** A hardware clock that was set to local time, say, is put right after the start. */
const MOST_BACK_MS = DAY_MS

/** The anchor is renewed after so much running time: what was accepted before it is no longer held against the clock. */
const ANCHORED_MS = DAY_MS

/** A reading of both clocks, ms: the system's time, and the monotonic time, which cannot be set. */
export interface Reading {
  wall: number
  elapsed: number
}

/** `ledgerTime`: of the ledger's last entry, ms. Undefined: nothing is wrong. */
export function startProblem(wall: number, ledgerTime: number, longestPauseDays: number): string | undefined {
  const pause = wall - ledgerTime
  if (pause <= longestPauseDays * DAY_MS) return behindLedger(wall, ledgerTime)
  const days = Math.ceil(pause / DAY_MS)
  return (
    `the system clock says ${shown(wall)}, ${days} days after the ledger's last entry (${shown(ledgerTime)}): ` +
    `correct the clock; or, if the broker did stand still so long, start it once with BROKER_LONGEST_PAUSE_DAYS=${days}`
  )
}

/** `anchor`: an earlier reading that was found plausible. */
export function runningProblem(
  anchor: Reading,
  { wall, elapsed }: Reading,
  ledgerTime: number,
): string | undefined {
  const ahead = wall - anchor.wall - (elapsed - anchor.elapsed)
  if (ahead > MOST_FORWARD_MS || ahead < -MOST_BACK_MS) {
    return (
      `the system clock says ${shown(wall)}, and by the time that has passed it should be about ` +
      `${shown(wall - ahead)}: correct the clock; or, if it is right now, restart the broker`
    )
  }
  return behindLedger(wall, ledgerTime)
}

/** The anchor for the next reading, after `reading` was found plausible. */
export function anchorAfter(anchor: Reading, reading: Reading): Reading {
  return reading.elapsed - anchor.elapsed >= ANCHORED_MS ? reading : anchor
}

/** An entry of another broker or another program: taken over, it would be the earliest time of all later ones. */
export function isFromFuture(entryTime: string, now: Date): boolean {
  return Date.parse(entryTime) > now.getTime() + CLOCK_SKEW_MS
}

function behindLedger(wall: number, ledgerTime: number): string | undefined {
  if (wall >= ledgerTime - CLOCK_SKEW_MS) return undefined
  return (
    `the system clock says ${shown(wall)}, and the ledger's last entry is of ${shown(ledgerTime)}: correct the clock; ` +
    'or, if it is right, run verify-ledger to see which entry has a time that is yet to come'
  )
}

/** As RFC 3339, whatever number it is. */
function shown(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms after 1970` : date.toISOString()
}
