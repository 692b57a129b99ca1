import { LedgerError } from '../domain/ledger-error.js'

/** A change of the key is known to all of this broker after the append that is under way. */
const TRIES = 5

/**
 * A token that was laid out under a key which is replaced by then was refused where events are chained, and nothing was
 * written: it is laid out again under the key that is active now. So a rotation refuses no mint.
 */
export async function withActiveKey<T>(announce: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await announce()
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'key-not-active' || tried === TRIES) throw error
    }
  }
}
