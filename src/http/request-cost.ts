// What a request may cost, judged by its path before anything else is done with it.

/**
 * light   answered from memory or from one answer for all: room of its own, so that relying parties find the keys and
 *         probes an answer while every place for work is taken
 * work    asks a session backend, the ledger, STS
 */
export type Pool = 'light' | 'work'

/** A page of 1,000 mints or a bundle of 256 entries takes as much memory as this many mints. */
const HEAVY = 16

export function poolOf(url: string): { pool: Pool; weight: number } {
  if (/^\/(?:v1\/audit|ledger\/tile\/entries)\//.test(url)) return { pool: 'work', weight: HEAVY }
  if (/^\/(?:v1|ledger|session)\//.test(url)) return { pool: 'work', weight: 1 }
  return { pool: 'light', weight: 1 }
}
