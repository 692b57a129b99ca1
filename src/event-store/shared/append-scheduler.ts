// Fair back-off between brokers that share a ledger: which of them appends next. It saves lost appends only; correctness
// never depends on it. docs/scaling.md, "Append scheduling".

const MIN_SLOT_MS = 15
/** On an overloaded machine appends are slow; slots that grow with them without a bound would make it worse. */
const MAX_SLOT_MS = 300
const APPENDS_PER_SLOT = 6
/** How much a newly observed append time counts against those before. */
const NEW_WEIGHT = 0.2
/** Fraction of a slot that an inactive broker keeps at least, so that it can always get in. */
const MIN_SLOT_WEIGHT = 1 / 8
/** Peers idle for this long are dropped from the rotation. */
const IDLE_PEER_MS = 10_000
/** Peers seen within this time may resume at any moment, and several at once. */
const PEER_MEMORY_MS = 3_600_000
/** How often a yield window is left: by a broker alone with and without known peers, and by brokers in rotation. */
const YIELD_INTERVAL_MS = { known: 250, unknown: 2_000, rotation: 5_000 }
const MAX_YIELD_MS = 60
const APPENDS_PER_YIELD = 3

interface Peer {
  /** Index of the last entry it wrote: the order in which brokers were served, the same for every observer. */
  served: number
  seenAt: number
  /** Fraction of a slot that the others wait for it. */
  weight: number
}

/**
 * After an append the broker that was served least recently goes first, and each other one slot later than the one
 * before it. A broker that does not use its slot gets half of it the next time, and a whole one after its next append.
 * Every broker sees the same entries and derives the same order from them; clocks are not compared. Times are this
 * process's own, in milliseconds.
 *
 * A broker that appends without a pause knows each new head first, so a broker that starts could lose to it every time,
 * and a broker that keeps losing is invisible to the others. So every broker leaves a yield window periodically, and
 * after each newcomer, since others may have started with it. Brokers that resume at the same moment lose to the first
 * of them, then keep their previous order.
 */
export class AppendScheduler {
  private readonly peers = new Map<string, Peer>()
  /** The order after the newest append. Fixed until the next one, so that slots do not shift. */
  private rotation: Peer[] = []
  private newest = -1
  private newestAt = -Infinity
  private appendMs = 0
  /** When brokers outside the rotation last had a yield window. */
  private yieldedAt = -Infinity
  /** Length of the yield window after the newest append. */
  private yieldMs = 0
  /** When the first append was lost since the last one that was ours. */
  private lostAt: number | undefined

  constructor(private readonly me: string) {}

  /** `by` wrote the entry at `index`, and it was seen `at`. Idempotent; late calls are ignored. */
  observed(by: string, index: number, at: number): void {
    const known = this.peers.get(by)
    if (known && known.served >= index) return
    if (index > this.newest) {
      this.halveWeights(by, at)
      if (at - this.newestAt >= (this.yieldMs || this.fullYieldMs + this.appendMs)) this.yieldedAt = at
      this.newest = index
      this.newestAt = at
    }
    if (!known || isSilent(known, at)) this.yieldedAt = -Infinity
    if (by === this.me) this.lostAt = undefined
    this.peers.set(by, { served: index, seenAt: at, weight: 1 })
    this.rotation = [...this.peers.values()]
      .filter((peer) => !isSilent(peer, at))
      .sort((one, other) => one.served - other.served)
    this.yieldMs = at - this.yieldedAt < this.yieldIntervalMs(at) ? 0 : this.fullYieldMs
  }

  /** Another broker's append was there before ours. */
  appendLost(at: number): void {
    this.lostAt ??= at
  }

  /** One append took this long until it was seen. */
  appendTook(ms: number): void {
    this.appendMs = this.appendMs === 0 ? ms : this.appendMs + NEW_WEIGHT * (ms - this.appendMs)
  }

  /** Other brokers in the rotation. */
  get others(): number {
    return this.rotation.filter((peer) => peer !== this.peers.get(this.me)).length
  }

  get slotMs(): number {
    return Math.min(MAX_SLOT_MS, Math.max(MIN_SLOT_MS, APPENDS_PER_SLOT * this.appendMs))
  }

  /** Milliseconds to wait before appending, as of `at`; 0: append now. */
  backOffMs(at: number): number {
    const mine = this.peers.get(this.me)
    const place = mine ? this.rotation.indexOf(mine) : -1
    if (place >= 0) return Math.max(0, this.beginMs + this.slotsOf(this.rotation.slice(0, place)) - at)
    // A broker outside the rotation does not wait, except for idle peers that may have resumed with it.
    if (!mine || this.lostAt === undefined) return 0
    return Math.max(0, this.lostAt + this.silentBefore(mine, at) * this.slotMs - at)
  }

  /** Idle peers that may have resumed at the same moment and are before us in the order. */
  private silentBefore(mine: Peer, at: number): number {
    return [...this.peers.values()].filter(
      (peer) => peer.served < mine.served && isSilent(peer, at) && isKnown(peer, at),
    ).length
  }

  /** When the first slot after the newest append begins. */
  private get beginMs(): number {
    return this.newestAt + this.yieldMs
  }

  private get fullYieldMs(): number {
    if (this.appendMs === 0) return MAX_YIELD_MS
    return Math.min(MAX_YIELD_MS, Math.max(MIN_SLOT_MS, APPENDS_PER_YIELD * this.appendMs))
  }

  private yieldIntervalMs(at: number): number {
    if (this.others > 0) return YIELD_INTERVAL_MS.rotation
    const known = [...this.peers].some(([by, peer]) => by !== this.me && isKnown(peer, at))
    return known ? YIELD_INTERVAL_MS.known : YIELD_INTERVAL_MS.unknown
  }

  private slotsOf(peers: readonly Peer[]): number {
    return peers.reduce((sum, { weight }) => sum + weight, 0) * this.slotMs
  }

  /** `by` appended now: peers before it did not use their slots, so their weights are halved. */
  private halveWeights(by: string, at: number): void {
    const appended = this.peers.get(by)
    let end = this.beginMs
    for (const peer of this.rotation) {
      end += peer.weight * this.slotMs
      if (peer === appended || end > at) return
      peer.weight = Math.max(MIN_SLOT_WEIGHT, peer.weight / 2)
    }
  }
}

const isSilent = ({ seenAt }: Peer, at: number) => at - seenAt >= IDLE_PEER_MS
const isKnown = ({ seenAt }: Peer, at: number) => at - seenAt < PEER_MEMORY_MS
