// What the clock on the operator's wall says: Cedar knows no time zones, so office hours are worked out here.

export interface LocalTime {
  /** 0 to 23. */
  readonly hour: number
  /** 0 to 59. */
  readonly minute: number
  /** 1 for Monday to 7 for Sunday, as ISO 8601 counts. */
  readonly weekday: number
}

const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

/** Knows one zone. Making the formatter takes long, using it does not. */
export class LocalClock {
  private readonly format: Intl.DateTimeFormat
  private last: { minute: number; time: LocalTime } | undefined

  /** Throws RangeError for a zone that there is not. */
  constructor(readonly zone: string) {
    this.format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone: zone, hourCycle: 'h23', weekday: 'short', hour: 'numeric', minute: 'numeric' },
    })
  }

  at(instant: Date): LocalTime {
    const minute = Math.floor(instant.getTime() / 60_000)
    if (this.last?.minute !== minute) this.last = { minute, time: this.read(instant) }
    return this.last.time
  }

  private read(instant: Date): LocalTime {
    const parts = Object.fromEntries(
      this.format.formatToParts(instant).map(({ type, value }) => [type, value]),
    )
    return {
      hour: Number(parts['hour']),
      minute: Number(parts['minute']),
      weekday: WEEKDAYS.indexOf(parts['weekday'] ?? '') + 1,
    }
  }
}
