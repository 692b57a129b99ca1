// The embedded ledger's file. Read-only, in short reads, so that a broker may go on writing and checkpointing.

import { statSync } from 'node:fs'

import Database from 'better-sqlite3'

import { MAX_ENTRY_BYTES } from '../../../src/domain/ledger/entry.js'
import type { Row } from '../../../src/domain/ledger/verify.js'

import { finding } from '../../../src/domain/ledger/findings.js'
import { nativeModuleProblem } from '../../../src/storage/native-module.js'
import { notRegular } from '../regular-file.js'

import { SourceError, SourceFault, type Batch, type Source } from './source.js'

const BATCH_ROWS = 500
const BATCH_BYTES = 256_000
/** Indexes are safe integers, and so is one more. */
const LAST_PLACE = Number.MAX_SAFE_INTEGER - 1

export class SqliteSource implements Source {
  readonly description: string
  readonly keepsSignatures = true
  private readonly database: Database.Database
  private readonly range: Database.Statement<[number, number]>
  private readonly from: Database.Statement<[number, number]>
  /** One past the last place there was when the file was opened: a broker may be writing more. */
  private readonly end: number
  /** Undefined in a file from before appends were signed. */
  private readonly signed: Database.Statement<[number, number]> | undefined
  private place = 0

  constructor(path: string) {
    this.description = `sqlite:${path}`
    // SQLite would wait for ever for the writer of a pipe.
    const found = statSync(path, { throwIfNoEntry: false })
    if (!found) throw new SourceError(`there is no ledger at ${path}`)
    if (!found.isFile()) throw notRegular(path)
    this.database = this.attempt(() => new Database(path, { readonly: true, fileMustExist: true }))
    try {
      this.attempt(() => this.database.pragma('busy_timeout = 5000'))
      this.checkTable()
      this.end = this.attempt(() => this.lastPlace()) + 1
      // A longer text is no entry, and might be too long for a string: only its absence is fetched.
      const entry = `iif(octet_length(entry) > ${MAX_ENTRY_BYTES}, NULL, entry)`
      this.range = this.database.prepare<[number, number]>(
        `SELECT ${entry} FROM ledger WHERE idx >= ? AND idx < ?`,
      )
      this.range.pluck()
      this.from = this.database.prepare<[number, number]>(
        `SELECT idx, ${entry} FROM ledger WHERE idx >= ? ORDER BY idx LIMIT ?`,
      )
      this.from.raw()
      const [table] = this.database.pragma('table_info(signed_heads)') as unknown[]
      // An Ed25519 signature has 88 characters in base64: a longer text is not one.
      this.signed = table
        ? this.database
            .prepare<[number, number]>(
              'SELECT idx, iif(octet_length(signature) = 88, signature, NULL) FROM signed_heads WHERE idx >= ? AND idx < ?',
            )
            .raw()
        : undefined
    } catch (error) {
      this.database.close()
      throw error
    }
  }

  async *batches(): AsyncGenerator<Batch> {
    let rowsAtOnce = 64
    while (this.place < this.end) {
      const batch = this.attempt(() => this.contiguous(Math.min(rowsAtOnce, this.end - this.place)))
      if (batch.rows.length === 0) break
      this.place = batch.from + batch.rows.length
      const signatures = this.signaturesIn(batch)
      if (signatures.size > 0) batch.signatures = signatures
      rowsAtOnce = rowsFor(batch.rows)
      yield await Promise.resolve(batch)
    }
    this.attempt(() => this.lookOutside())
  }

  private signaturesIn({ from, rows }: Batch): Map<number, string> {
    const found = (this.attempt(() => this.signed?.all(from, from + rows.length)) ?? []) as [
      number,
      unknown,
    ][]
    return new Map(found.flatMap(([idx, text]) => (typeof text === 'string' ? [[idx, text]] : [])))
  }

  progress(): number {
    return this.end === 0 ? 1 : this.place / this.end
  }

  close(): Promise<void> {
    this.database.close()
    return Promise.resolve()
  }

  /** idx is unique, so that a range with as many rows as places has no gap: idx itself need not be read. */
  private contiguous(rows: number): Batch {
    const found = this.range.all(this.place, this.place + rows)
    if (found.length === rows) return { from: this.place, rows: this.rowsOf(found, this.place) }

    const numbered = this.from.all(this.place, rows) as [number, unknown][]
    const first = numbered[0]?.[0] ?? this.place
    const gap = numbered.findIndex(([idx], i) => idx !== first + i)
    const run = gap === -1 ? numbered : numbered.slice(0, gap)
    return {
      from: first,
      rows: this.rowsOf(
        run.map(([, entry]) => entry),
        first,
      ),
    }
  }

  private rowsOf(values: unknown[], from: number): Row[] {
    return values.map((value, i) =>
      typeof value === 'string' && !value.includes('\ufffd') ? value : this.lookCloser(from + i),
    )
  }

  /** better-sqlite3 puts U+FFFD for bytes that are no UTF-8: only the bytes tell whether it was there. */
  private lookCloser(place: number): Row {
    const [type, bytes] = this.database
      .prepare('SELECT typeof(entry), octet_length(entry) FROM ledger WHERE idx = ?')
      .raw()
      .get(place) as [string, number | null]
    if (type !== 'text') return { problem: 'malformed', detail: `the row holds ${type}, not text` }
    if (bytes !== null && bytes > MAX_ENTRY_BYTES) return { problem: 'too-large', detail: `${bytes} bytes` }
    const blob = this.database
      .prepare('SELECT CAST(entry AS BLOB) FROM ledger WHERE idx = ?')
      .pluck()
      .get(place) as Uint8Array
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(blob)
    } catch {
      return { problem: 'malformed', detail: 'the row is not UTF-8' }
    }
  }

  private checkTable(): void {
    const columns = this.attempt(() => this.database.pragma('table_info(ledger)')) as {
      name: string
      type: string
      pk: number
    }[]
    const idx = columns.find((column) => column.name === 'idx')
    if (idx?.type === 'INTEGER' && idx.pk === 1 && columns.some((column) => column.name === 'entry')) return
    throw new SourceError(
      `${this.description} holds no ledger: it has no table ledger (idx INTEGER PRIMARY KEY, entry TEXT)`,
    )
  }

  private lastPlace(): number {
    const last = this.database
      .prepare(`SELECT max(idx) FROM ledger WHERE idx BETWEEN 0 AND ${LAST_PLACE}`)
      .pluck()
      .get() as number | null
    return last ?? -1
  }

  /** A broker never writes there, and none of the reads above goes there. */
  private lookOutside(): void {
    const outside = this.database
      .prepare(`SELECT CAST(idx AS TEXT) FROM ledger WHERE idx < 0 OR idx > ${LAST_PLACE} LIMIT 1`)
      .pluck()
      .get() as string | undefined
    if (outside === undefined) return
    const detail = `a row is kept at place ${outside} of the store, where no entry can be`
    throw new SourceFault(finding(this.place, 'wrong-index', detail))
  }

  private attempt<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (error instanceof SourceError || error instanceof SourceFault) throw error
      throw new SourceError(`${this.description} cannot be read: ${this.reason(error as Error)}`, {
        cause: error,
      })
    }
  }

  private reason(error: Error): string {
    const notLoaded = nativeModuleProblem(error)
    if (notLoaded !== undefined) return notLoaded
    const { code } = error as { code?: unknown }
    if (typeof code !== 'string' || !/^SQLITE_(?:CANTOPEN|READONLY)/.test(code)) return error.message
    return `${error.message}: a file in WAL mode needs a -shm file beside it, so copy it to a folder you may write to`
  }
}

/** As many rows of this batch's size as make a batch. */
function rowsFor(rows: readonly Row[]): number {
  let length = 0
  for (const row of rows) if (typeof row === 'string') length += row.length
  const mean = Math.max(1, length / rows.length)
  return Math.max(1, Math.min(BATCH_ROWS, Math.floor(BATCH_BYTES / mean)))
}
