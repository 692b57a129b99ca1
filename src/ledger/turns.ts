// Whose turn it is to append, where several brokers share a ledger. Politeness only: brokers that go at once lose
// appends to each other, never entries. docs/scaling.md, "Taking turns".

const SHORTEST_SLOT_MS = 15
/** A machine that has no time makes appends slow; waiting for each other longer and longer would not help it. */
const LONGEST_SLOT_MS = 300
const APPENDS_A_SLOT = 6
/** How much a newly observed append time counts against those before. */
const NEW_WEIGHT = 0.2
/** Of a whole slot: what a broker is left with however often it let its slot pass, so that it can always get in. */
const SHORTEST_SHARE = 1 / 8
/** Who was silent for so long is not waited for at all: gone, or idle. */
const FORGOTTEN_AFTER_MS = 10_000
/** Who was heard of within so long may come back at any moment, and others with it. */
const KNOWN_FOR_MS = 3_600_000
/** How often a chance is let pass: by whoever appends alone, others being known or not, and by those who take turns. */
const CHANCE_EVERY_MS = { known: 250, unknown: 2_000, turns: 5_000 }
const LONGEST_CHANCE_MS = 60
const APPENDS_A_CHANCE = 3

interface Peer {
  /** Index of the last entry it wrote: the order in which brokers were served, the same for all who look. */
  served: number
  seenAt: number
  /** How much of a slot it is waited for. */
  share: number
}

/**
 * After an append the broker that was served least recently goes at once, and each other one slot later than the one
 * before it. A broker that lets its slot pass is given half of it the next time, and a whole one when it has appended
 * again. Everybody sees the same entries, so everybody has about the same order in mind without a word between them;
 * clocks are not compared. Times are this process's own, in milliseconds.
 *
 * Whoever appends alone, one append right after the other, knows each head first, and so do those who take turns without
 * a pause: another broker that begins could lose to them every time, and nobody hears of losers. So everybody lets a
 * chance pass now and then, and each time somebody has come: others may have begun with it. Brokers that come back at
 * the same moment lose to the first of them, and then keep to their old order.
 */
export class Turns {
  private readonly peers = new Map<string, Peer>()
  /** In which order they go after the newest append. Fixed until the next one, so that slots do not shift meanwhile. */
  private circle: Peer[] = []
  private newest = -1
  private newestAt = -Infinity
  private appendMs = 0
  /** When those who are not waited for last had a chance. */
  private chanceAt = -Infinity
  /** How long the chance is that is let pass after the newest append. */
  private chanceMs = 0
  /** When the first append was lost since the last one that was ours. */
  private lostAt: number | undefined

  constructor(private readonly me: string) {}

  /** `by` wrote the entry at `index`, and it was seen `at`. Told again, or late, it changes nothing. */
  saw(by: string, index: number, at: number): void {
    const known = this.peers.get(by)
    if (known && known.served >= index) return
    if (index > this.newest) {
      this.halvePassed(by, at)
      if (at - this.newestAt >= (this.chanceMs || this.fullChanceMs + this.appendMs)) this.chanceAt = at
      this.newest = index
      this.newestAt = at
    }
    if (!known || isSilent(known, at)) this.chanceAt = -Infinity
    if (by === this.me) this.lostAt = undefined
    this.peers.set(by, { served: index, seenAt: at, share: 1 })
    this.circle = [...this.peers.values()]
      .filter((peer) => !isSilent(peer, at))
      .sort((one, other) => one.served - other.served)
    this.chanceMs = at - this.chanceAt < this.chanceEveryMs(at) ? 0 : this.fullChanceMs
  }

  /** Another broker's append was there before ours. */
  lost(at: number): void {
    this.lostAt ??= at
  }

  /** One append took this long until it was seen. */
  took(ms: number): void {
    this.appendMs = this.appendMs === 0 ? ms : this.appendMs + NEW_WEIGHT * (ms - this.appendMs)
  }

  /** How many others are waited for. */
  get others(): number {
    return this.circle.filter((peer) => peer !== this.peers.get(this.me)).length
  }

  get slotMs(): number {
    return Math.min(LONGEST_SLOT_MS, Math.max(SHORTEST_SLOT_MS, APPENDS_A_SLOT * this.appendMs))
  }

  /** For how many milliseconds to hold back, as things stand at `at`; 0: it is our turn. */
  holdBackMs(at: number): number {
    const mine = this.peers.get(this.me)
    const place = mine ? this.circle.indexOf(mine) : -1
    if (place >= 0) return Math.max(0, this.beginMs + this.slotsOf(this.circle.slice(0, place)) - at)
    // Nobody waits for a broker that was silent, so it need not wait either, but for those who lost with it.
    if (!mine || this.lostAt === undefined) return 0
    return Math.max(0, this.lostAt + this.silentBefore(mine, at) * this.slotMs - at)
  }

  /** How many others may just have come back as we have, and go first. */
  private silentBefore(mine: Peer, at: number): number {
    return [...this.peers.values()].filter(
      (peer) => peer.served < mine.served && isSilent(peer, at) && isKnown(peer, at),
    ).length
  }

  /** When the first slot after the newest append begins. */
  private get beginMs(): number {
    return this.newestAt + this.chanceMs
  }

  private get fullChanceMs(): number {
    if (this.appendMs === 0) return LONGEST_CHANCE_MS
    return Math.min(LONGEST_CHANCE_MS, Math.max(SHORTEST_SLOT_MS, APPENDS_A_CHANCE * this.appendMs))
  }

  private chanceEveryMs(at: number): number {
    if (this.others > 0) return CHANCE_EVERY_MS.turns
    const known = [...this.peers].some(([by, peer]) => by !== this.me && isKnown(peer, at))
    return known ? CHANCE_EVERY_MS.known : CHANCE_EVERY_MS.unknown
  }

  private slotsOf(peers: readonly Peer[]): number {
    return peers.reduce((sum, { share }) => sum + share, 0) * this.slotMs
  }

  /** `by` appended now: those before it, whose slots have gone by, are waited for half as long the next time. */
  private halvePassed(by: string, at: number): void {
    const appended = this.peers.get(by)
    let end = this.beginMs
    for (const peer of this.circle) {
      end += peer.share * this.slotMs
      if (peer === appended || end > at) return
      peer.share = Math.max(SHORTEST_SHARE, peer.share / 2)
    }
  }
}

const isSilent = ({ seenAt }: Peer, at: number) => at - seenAt >= FORGOTTEN_AFTER_MS
const isKnown = ({ seenAt }: Peer, at: number) => at - seenAt < KNOWN_FOR_MS
