// What can be made to go wrong with the stand-in's next calls.

export type AppendFault =
  /** Nothing is written and nothing is answered. */
  | 'swallow'
  /** Written, then every connection is cut before the answer. */
  | 'commit-then-lose-the-reply'
  /** Every connection is cut when the first event of the append has come in: nothing is written. */
  | 'reset'
  /** Written, then an answer that says the write timed out. */
  | 'commit-then-time-out'
  /** Written, then the call ends with status OK and no answer message: what a proxy in between may do. */
  | 'commit-then-end-quietly'
  /** Written, then an answer that says neither success nor conflict, on which the client's own append never settles. */
  | 'commit-then-say-nothing'
  /** Written, and nothing is answered. */
  | 'commit-then-swallow'
  /**
   * Half of the events are written, then an answer that says the write timed out. A client that gives up a call ends it in
   * order before it cancels it: what had come in until then may be taken for all.
   */
  | 'commit-half-then-time-out'
  /** The call ends with status OK and no answer message: nothing is written. */
  | 'end-quietly'
  | 'busy'
  | 'not-ready'
  | 'no-leader-info'
  | 'unavailable'
  | 'internal'

export type ReadFault =
  | 'swallow'
  | 'unavailable'
  | 'internal'
  /** The first event, then silence. */
  | 'stall'
  /** The call ends with status OK, whatever was still to come: what a proxy in between may do. */
  | 'end-quietly'

/** Faults for the calls to come, the oldest first; `always` holds for every call that has none of its own. */
export class Plan<Fault> {
  private readonly queue: (Fault | 'none')[] = []
  always: Fault | undefined

  next(...faults: (Fault | 'none')[]): void {
    this.queue.push(...faults)
  }

  take(): Fault | undefined {
    const fault = this.queue.shift() ?? this.always
    return fault === 'none' ? undefined : fault
  }
}
