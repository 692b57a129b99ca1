// How many mints a minute a wallet, a session and the whole broker may ask for: token buckets, by identity and never by
// address, which a caller could choose. Pure but for the buckets: time comes in as an argument.

export type Limited = 'wallet' | 'session' | 'broker'

/** Mints a minute, which is also how many may come at once. Undefined: no limit. */
export type LimitsPerMinute = { readonly [L in Limited]?: number | undefined }

export interface Asking {
  wallet: string
  tokenSha256: string
  /** Of a child session, nearest first. */
  parents: readonly { wallet: string }[]
}

export interface Limit {
  limit: Limited
  retryAfterSeconds: number
}

/** The one that was used longest ago is forgotten, and begins full again. That takes so many valid sessions in a minute. */
const MOST_BUCKETS = 100_000

const MINUTE_MS = 60_000

interface Bucket {
  mints: number
  atMs: number
}

export class MintLimits {
  private readonly buckets = new Map<string, Bucket>()

  constructor(private readonly perMinute: LimitsPerMinute) {}

  /** Undefined: it may go on, and is counted. `nowMs` never runs backwards. */
  reached(asking: Asking, nowMs: number): Limit | undefined {
    const keys = this.keysOf(asking)
    const buckets = keys.map(({ limit, key, most }) => ({
      limit,
      key,
      most,
      ...this.refilled(key, most, nowMs),
    }))
    const empty = buckets.find(({ mints }) => mints < 1)
    // What one limit refuses uses up nothing of the others.
    if (empty) return { limit: empty.limit, retryAfterSeconds: secondsUntilOne(empty) }
    for (const { key, mints } of buckets) this.put(key, { mints: mints - 1, atMs: nowMs })
    return undefined
  }

  private keysOf({ wallet, tokenSha256, parents }: Asking): { limit: Limited; key: string; most: number }[] {
    // Children have wallets of their own, as many as their parent likes: they use what the first of the family has.
    const payer = parents.at(-1)?.wallet ?? wallet
    const { wallet: ofWallet, session: ofSession, broker: ofBroker } = this.perMinute
    return [
      ...(ofWallet === undefined ? [] : [{ limit: 'wallet', key: payer, most: ofWallet } as const]),
      ...(ofSession === undefined ? [] : [{ limit: 'session', key: tokenSha256, most: ofSession } as const]),
      ...(ofBroker === undefined ? [] : [{ limit: 'broker', key: 'broker', most: ofBroker } as const]),
    ]
  }

  private refilled(key: string, most: number, nowMs: number): Bucket {
    const { mints, atMs } = this.buckets.get(key) ?? { mints: most, atMs: nowMs }
    return { mints: Math.min(most, mints + ((nowMs - atMs) * most) / MINUTE_MS), atMs: nowMs }
  }

  private put(key: string, bucket: Bucket): void {
    this.buckets.delete(key)
    this.buckets.set(key, bucket)
    if (this.buckets.size <= MOST_BUCKETS) return
    const [oldest] = this.buckets.keys()
    if (oldest !== undefined) this.buckets.delete(oldest)
  }
}

function secondsUntilOne({ mints, most }: { mints: number; most: number }): number {
  return Math.max(1, Math.ceil(((1 - mints) * MINUTE_MS) / most / 1_000))
}
