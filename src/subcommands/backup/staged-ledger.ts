// What an import is about to add: the whole of its source in a file of its own, verified before a byte of it reaches the
// ledger. A source may change while it is read, and what is in the ledger is there for good.

import { rmSync } from 'node:fs'

import Sqlite from 'better-sqlite3'

import type { Source } from '../../../tools/verify-ledger/sources/source.js'
import type { SignedCheckpoint } from '../../domain/ledger/checkpoint.js'
import { EntryError, type Sealed } from '../../domain/ledger/entry.js'
import { LedgerSignatures, signAppend } from '../../domain/ledger/ledger-signature.js'
import type { Signer } from '../../domain/ledger/note.js'
import type { Row } from '../../domain/ledger/verify.js'
import type { EntryToAppend } from '../../event-store/event-store.js'
import { SqliteEventStore } from '../../event-store/sqlite.js'
import { checkFirst, LedgerRefused, linked } from '../../ledger/open-ledger.js'
import { verifiedRows } from '../../ledger/verified-rows.js'

export class StagedLedger {
  readonly store: SqliteEventStore
  private readonly signatures: LedgerSignatures

  constructor(
    private readonly path: string,
    private readonly signer: Signer,
  ) {
    // What an import that was cut off has left is not believed.
    this.remove()
    this.store = new SqliteEventStore(path)
    this.signatures = new LedgerSignatures(signer.key)
  }

  async close(): Promise<void> {
    await this.store.close()
    this.remove()
  }

  /**
   * Stages all of `source`. Each of `checkpoints`, whose signatures were verified, has to hold for it, and a signature of
   * the ledger key for its last entry. Resolves with the number of entries. Throws LedgerRefused or the source's error.
   */
  async take(source: Source, checkpoints: readonly SignedCheckpoint[]): Promise<number> {
    const last = await this.stageAllButLast(source)
    if (!last) throw new LedgerRefused(`${source.description} is empty`)
    const { size } = this.verify(last, checkpoints, source.description)
    const vouched = checkpoints.some((checkpoint) => checkpoint.size === size)
    if (last.signature === undefined && !vouched) throw unsigned(source, size, checkpoints)
    // A mirror keeps no signatures beside its entries. Its checkpoint is one of the same key, for the same head.
    const signature = last.signature ?? signAppend({ size, leafHash: last.leafHash }, this.signer)
    await this.store.append([{ ...last, signature }], size - 1)
    await checkFirst(this.store, this.signer)
    return size
  }

  /** The last one waits for its signature. */
  private async stageAllButLast(source: Source): Promise<EntryToAppend | undefined> {
    let last: EntryToAppend | undefined
    for await (const { from, rows, signatures } of source.batches()) {
      const entries = this.entriesOf(source, last, rows, { from, signatures })
      const next = last ? [last, ...entries] : entries
      last = next.pop()
      const first = next[0]
      if (first) await this.store.append(next, first.entry.index)
    }
    return last
  }

  private entriesOf(
    { description }: Source,
    last: Sealed | undefined,
    rows: readonly Row[],
    { from, signatures }: { from: number; signatures: ReadonlyMap<number, string> | undefined },
  ): EntryToAppend[] {
    try {
      const stored = rows.map((row, i) => ({ index: from + i, text: textOf(row, from + i) }))
      return linked(last, stored).map((sealed) => this.withGoodSignature(sealed, signatures))
    } catch (error) {
      if (!(error instanceof EntryError)) throw error
      throw new LedgerRefused(`${description} is no ledger that verifies: ${error.message}`)
    }
  }

  private withGoodSignature(sealed: Sealed, signatures?: ReadonlyMap<number, string>): EntryToAppend {
    const { index } = sealed.entry
    const signature = signatures?.get(index)
    const head = { size: index + 1, leafHash: sealed.leafHash }
    return signature !== undefined && this.signatures.isOfAppend(head, signature)
      ? { ...sealed, signature }
      : sealed
  }

  private verify(last: Sealed, checkpoints: readonly SignedCheckpoint[], what: string): { size: number } {
    const db = new Sqlite(this.path, { readonly: true })
    const select = 'SELECT entry FROM ledger ORDER BY idx'
    const rows = function* (): Iterable<string> {
      if (last.entry.index > 0) yield* db.prepare<[], string>(select).pluck().iterate()
      yield last.text
    }
    try {
      return verifiedRows(rows(), checkpoints, what)
    } finally {
      db.close()
    }
  }

  private remove(): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(this.path + suffix, { force: true })
  }
}

function textOf(row: Row, index: number): string {
  if (typeof row === 'string') return row
  throw new EntryError(row.problem, `entry ${index}: ${row.detail}`)
}

function unsigned(
  { description }: Source,
  size: number,
  checkpoints: readonly SignedCheckpoint[],
): LedgerRefused {
  const signed = Math.max(0, ...checkpoints.map((checkpoint) => checkpoint.size))
  return new LedgerRefused(
    `${description}: entries ${signed} to ${size - 1} are vouched for by no signature of the ledger's own key: give a ` +
      `checkpoint that was signed for all ${size} (--checkpoint FILE), or a copy that ends at a signed one`,
  )
}
