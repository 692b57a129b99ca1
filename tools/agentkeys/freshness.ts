// When a credential is handed out, and when the next one is minted. Times in milliseconds.

export interface Lifetime {
  mintedAt: number
  expiresAt: number
}

/** SDKs that ask refresh 15 minutes before the end: what has less left is asked for again at every call. */
const LEAST_LEFT_MS = 15 * 60_000
/** Clocks that differ by no more than that are the same clock. */
const SKEW_MS = 60_000

/**
 * fresh    hand it out
 * renew    hand it out only if no new one can be had: it is past half of its life, and has enough left
 * expired  never hand it out: too little is left; the caller gets the reason why there is no new one
 */
export function freshness({ mintedAt, expiresAt }: Lifetime, now: number): 'fresh' | 'renew' | 'expired' {
  const left = expiresAt - now
  // A clock that was set back would make an old credential look new: one from the future is not trusted.
  if (left < leastLeft(expiresAt - mintedAt) || now < mintedAt - SKEW_MS) return 'expired'
  return left >= (expiresAt - mintedAt) / 2 ? 'fresh' : 'renew'
}

/**
 * 15 minutes. What lives for less than half an hour is never outside the SDKs' window for long, and a third of its life
 * has to do: 5 minutes for STS's shortest, which is where the SDKs that look last (JavaScript, Go, Ruby) take it for expired.
 */
function leastLeft(life: number): number {
  return life >= 2 * LEAST_LEFT_MS ? LEAST_LEFT_MS : life / 3
}

/** Whether SDKs keep it without asking again at once; a credential of 15 minutes never is. */
export function outlastsRefreshWindow({ expiresAt }: Lifetime, now: number): boolean {
  return expiresAt - now >= LEAST_LEFT_MS
}
