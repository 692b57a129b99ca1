// Where a ledger is read from: SOURCE on the command line. One file per kind.

import type { Finding } from '../../../src/domain/ledger/findings.js'
import type { Tile } from '../../../src/domain/ledger/tiles.js'
import type { Row } from '../../../src/domain/ledger/verify.js'

/** Rows at consecutive places, the first at `from`. */
export interface Batch {
  from: number
  rows: Row[]
  /** The signatures that the store keeps beside entries, by place: none of them is believed yet. */
  signatures?: ReadonlyMap<number, string>
}

/**
 * batches   every row there was when the source was opened, in order; a few hundred kilobytes at a time. `from`, a
 *           multiple of 256 and 0 by default, is where to begin; only a log has to be able to. A row that holds no
 *           text is a BadRow, never an error: it is the verifier that judges. Rejects with SourceError when reading
 *           cannot go on, with SourceFault when that is the ledger's fault.
 * progress  the share handed out so far, 0 to 1.
 * close     frees what the source holds. Nothing may be called after it.
 */
export interface Source {
  /** Shown to the reader: what kind, and where. Holds no secret. */
  readonly description: string
  /** A source that signs what it serves. */
  readonly log?: Log
  /** A store of brokers: they keep the signature of each append in it. */
  readonly keepsSignatures?: true
  batches(from?: number): AsyncIterable<Batch>
  progress(): number
  close(): Promise<void>
}

/** C2SP tlog-tiles, read side. Nothing of what it gives is believed yet. */
export interface Log {
  /** The signed checkpoint as it was when the source was opened. It is a text of the right form. */
  readonly checkpoint: string
  /** The bytes of a tile of hashes, of the right length. Rejects with SourceFault or SourceError. */
  tile(tile: Tile): Promise<Uint8Array>
}

/** The source cannot be read: exit 3. Says nothing about the ledger. */
export class SourceError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SourceError'
  }
}

/** The source can be read, and what is there is not what it must be: a finding. */
export class SourceFault extends Error {
  constructor(readonly finding: Finding) {
    super(finding.detail)
    this.name = 'SourceFault'
  }
}
