// When a credential is handed out, and when the next one is minted. Times in milliseconds.

export interface Lifetime {
  mintedAt: number
  expiresAt: number
}

/** SDKs that ask refresh 15 minutes before the end: what has less left is asked for again at every call. */
const LEAST_LEFT_MS = 15 * 60_000
/** Never handed out with less than that left: the caller could not use it. */
const USABLE_MS = 60_000

/**
 * fresh    hand it out
 * renew    hand it out only if no new one can be had: it is past half of its life, and has enough left
 * expired  never hand it out
 */
export function freshness({ mintedAt, expiresAt }: Lifetime, now: number): 'fresh' | 'renew' | 'expired' {
  const left = expiresAt - now
  // A clock that was set back would make an old credential look new: one from the future is not trusted.
  if (left < USABLE_MS || now < mintedAt - USABLE_MS) return 'expired'
  return left >= (expiresAt - mintedAt) / 2 ? 'fresh' : 'renew'
}

/** Whether SDKs keep it without asking again at once; a credential of 15 minutes never is. */
export function outlastsRefreshWindow({ expiresAt }: Lifetime, now: number): boolean {
  return expiresAt - now >= LEAST_LEFT_MS
}
