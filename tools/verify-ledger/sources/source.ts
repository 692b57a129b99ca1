// Where a ledger is read from: SOURCE on the command line. One file per kind.

import type { Row } from '../../../src/domain/ledger/verify.js'

/** Rows at consecutive places, the first at `from`. */
export interface Batch {
  from: number
  rows: Row[]
}

/**
 * batches   every row there was when the source was opened, in order, from the first on; a few hundred kilobytes at a
 *           time. A row that holds no text is a BadRow, never an error: it is the verifier that judges. Rejects with
 *           SourceError when reading cannot go on.
 * progress  the share handed out so far, 0 to 1.
 * close     frees what the source holds. Nothing may be called after it.
 */
export interface Source {
  /** Shown to the reader: what kind, and where. Holds no secret. */
  readonly description: string
  batches(): AsyncIterable<Batch>
  progress(): number
  close(): Promise<void>
}

/** The source cannot be read: exit 3. Says nothing about the ledger. */
export class SourceError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SourceError'
  }
}
