import type Sqlite from 'better-sqlite3'

import type { LedgerEvent } from '../domain/ledger/events.js'

/** An event with its place in the ledger. */
export type Recorded = LedgerEvent & { index: number; time: string }

/**
 * One question that the ledger answers, as tables. It is given every event once, in order, and writes to no table but
 * its own; the tables depend on the events alone, so that a replay from entry 0 makes the same rows.
 * read-model-file.ts lists the projections and says when its VERSION must be raised.
 */
export interface Projection {
  readonly schema: string
  /** Prepares the statements; what it returns runs inside the transaction that also saves the position. */
  prepare(db: Sqlite.Database): (recorded: Recorded) => void
}
