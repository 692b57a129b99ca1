// Entries that no broker appended: every reader of the ledger stops before them, and says the same.

/** So many of them are kept, in case that a signature follows. A start reads them from the store. */
export const MOST_UNSIGNED = 2_000

/** How long entries may be there without the signature of their append: it may still be on its way. */
export const UNSIGNED_FOR_MS = 2_000

/** `count`: as far as they are known. */
export function unsignedEntries(from: number, count: number): string {
  const entries = count === 1 ? `entry ${from} is` : `entries ${from} to ${from + count - 1} are`
  return `${entries} not signed by a holder of the ledger key: another program wrote to the ledger, or a broker that stopped in the middle of an append; ${TAKE_OVER}`
}

const TAKE_OVER =
  'run verify-ledger, then restore a copy without them, or take them over deliberately with agentkeys-broker adopt-ledger'
