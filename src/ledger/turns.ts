// Whose turn it is to append, where several brokers share a ledger. Politeness only: brokers that go at once lose
// appends to each other, never entries. docs/scaling.md, "Taking turns".

const SHORTEST_SLOT_MS = 15
const APPENDS_A_SLOT = 6
/** How much a newly observed append time counts against those before. */
const NEW_WEIGHT = 0.2

interface Peer {
  /** Index of the last entry it wrote: the order in which brokers were served, the same for all who look. */
  served: number
  /** It let its slot pass: nobody waits for it until it appends. */
  passed: boolean
}

/**
 * After an append the active broker that was served least recently goes at once, and each other one slot later than the
 * one before it. Everybody sees the same entries, so everybody has the same order in mind without a word between them;
 * clocks are not compared. Times are this process's own, in milliseconds.
 */
export class Turns {
  private readonly peers = new Map<string, Peer>()
  /** In which order they go after the newest append. Fixed until the next one, so that slots do not shift meanwhile. */
  private circle: Peer[] = []
  private newest = -1
  private newestAt = -Infinity
  private appendMs = 0

  constructor(private readonly me: string) {}

  /** `by` wrote the entry at `index`, and it was seen `at`. Told again, or late, it changes nothing. */
  saw(by: string, index: number, at: number): void {
    if (index > this.newest) {
      this.markPassed(at)
      this.newest = index
      this.newestAt = at
    }
    const served = Math.max(index, this.peers.get(by)?.served ?? -1)
    this.peers.set(by, { served, passed: false })
    this.circle = [...this.peers.values()]
      .filter(({ passed }) => !passed)
      .sort((one, other) => one.served - other.served)
  }

  /** One of our own appends took this long. */
  took(ms: number): void {
    this.appendMs = this.appendMs === 0 ? ms : this.appendMs + NEW_WEIGHT * (ms - this.appendMs)
  }

  get slotMs(): number {
    return Math.max(SHORTEST_SLOT_MS, APPENDS_A_SLOT * this.appendMs)
  }

  /** For how many milliseconds to hold back, as things stand at `at`; 0: it is our turn. */
  holdBackMs(at: number): number {
    this.markPassed(at)
    const mine = this.peers.get(this.me)
    // Nobody waits for a broker that was silent, so it need not wait either: one lost append, and it is in the circle.
    if (!mine || mine.passed) return 0
    return Math.max(0, this.newestAt + this.circle.indexOf(mine) * this.slotMs - at)
  }

  /** Whose slot has gone by since the newest append is out of the circle. */
  private markPassed(at: number): void {
    const slots = Math.floor((at - this.newestAt) / this.slotMs)
    for (const peer of this.circle.slice(0, slots)) peer.passed = true
  }
}
