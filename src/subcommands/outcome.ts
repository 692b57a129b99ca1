import { StoreError } from '../event-store/event-store.js'
import { LedgerRefused } from '../ledger/open-ledger.js'

/** How a subcommand ended: its exit code, and one line for stdout (0) or stderr (else). docs/configuration.md, Exit codes. */
export interface Outcome {
  code: 0 | 1 | 2 | 3
  message: string
}

/** A store that will not have it, or hides entries, has answered; one that cannot be reached has not. */
export function codeOfFailure(error: unknown): 1 | 3 {
  const refused = error instanceof StoreError && error.code === 'refused'
  return refused || error instanceof LedgerRefused ? 1 : 3
}
