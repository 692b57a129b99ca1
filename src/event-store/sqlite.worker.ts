// The thread that owns the ledger file. Asked by sqlite.ts, one question at a time, in order.

import { existsSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

import Sqlite from 'better-sqlite3'

import { accessRemedy } from '../storage/access-remedy.js'
import { DurableSqlite, FileReplaced } from '../storage/durable-sqlite.js'
import { isSqliteError } from '../storage/sqlite-error.js'
import { serve } from '../worker/serve.js'
import type { StoreErrorCode } from './event-store.js'
import { prepareLedgerTables } from './ledger-tables.js'
import type { Question, Row } from './sqlite.js'
import type { StoreFailure } from './store-thread.js'

class LedgerFile {
  private readonly file: DurableSqlite
  private readonly sizeRow: Sqlite.Statement<[], { size: number }>
  private readonly rows: Sqlite.Statement<
    [number, number],
    { idx: number; text: string; signature: string | null }
  >
  private readonly insertAll: Sqlite.Transaction<(expectedSize: number, rows: Row[]) => void>

  constructor(path: string) {
    this.file = new DurableSqlite(path, (db) => report(path, prepareLedgerTables(db)))
    const { db } = this.file
    this.sizeRow = db.prepare('SELECT coalesce(max(idx) + 1, 0) AS size FROM ledger')
    this.rows = db.prepare(
      'SELECT idx, entry AS text, signature FROM ledger LEFT JOIN signed_heads USING (idx) WHERE idx >= ? ORDER BY idx LIMIT ?',
    )
    const insert = db.prepare('INSERT INTO ledger (idx, entry) VALUES (?, ?)')
    const sign = db.prepare('INSERT INTO signed_heads (idx, signature) VALUES (?, ?)')
    this.insertAll = db.transaction((expectedSize: number, rows: Row[]) => {
      // The triggers say so too, but another program may have dropped them together with the last rows.
      const { size } = this.sizeRow.get() ?? { size: 0 }
      if (size !== expectedSize)
        throw new Sqlite.SqliteError(`it has ${size} entries, not ${expectedSize}`, 'SQLITE_CONSTRAINT')
      for (const [i, { text, signature }] of rows.entries()) {
        insert.run(expectedSize + i, text)
        if (signature !== undefined) sign.run(expectedSize + i, signature)
      }
    })
  }

  answer(question: Question): number | Row[] {
    switch (question.op) {
      case 'append':
        // COMMIT in WAL mode with synchronous=FULL has synced the log; durable if it is still the one that has a name.
        this.insertAll.immediate(question.expectedSize, question.rows)
        this.file.assertInPlace()
        return question.expectedSize + question.rows.length
      case 'size':
        this.file.assertInPlace()
        return this.sizeRow.get()?.size ?? 0
      case 'read':
        return this.rows.all(question.from, question.limit).map(({ idx, text, signature }, i) => {
          if (idx !== question.from + i)
            throw new Sqlite.SqliteError(`entry ${question.from + i} is missing`, 'SQLITE_CORRUPT')
          return signature === null ? { text } : { text, signature }
        })
    }
  }

  close(): void {
    this.file.close()
  }
}

/** A program that drops a trigger can change entries: that must not pass as an ordinary start. */
function report(path: string, lost: readonly string[]): void {
  if (lost.length === 0) return
  const warning =
    `${path} had lost ${lost.join(', ')}, which make it append-only, and no broker drops them: they were made again. ` +
    'Run verify-ledger on the file, and find out what else had access to it'
  parentPort?.postMessage({ warning })
}

const BACKUP_DOCS = 'docs/operator.md, Backup'

const path = workerData as string
let file: LedgerFile | undefined
let wasOpen = false

function answer(question: Question): number | Row[] {
  if (!file && !existsSync(path)) {
    if (wasOpen) throw new FileReplaced(path)
    // To look makes no file: the first append does.
    if (question.op !== 'append') return question.op === 'size' ? 0 : []
  }
  file ??= new LedgerFile(path)
  wasOpen = true
  return file.answer(question)
}

function failure(error: unknown, { op }: Question): StoreFailure {
  const code = codeOf(error)
  // What was read or written with an I/O error counts for nothing: the next question opens the file again, and that
  // makes all it holds durable before anything is answered (durable-sqlite.ts).
  if (code === 'unknown') reopenNextTime()
  const remedy = remedyFor(error)
  const message = `${path}: ${(error as Error).message}${remedy}`
  return {
    code: code === 'unknown' && op !== 'append' ? 'unavailable' : code,
    message: error instanceof FileReplaced ? error.message : message,
    damage: isDamage(error),
  }
}

function remedyFor(error: unknown): string {
  if (isDamagedFile(error)) return `: restore it from its newest backup that verifies (${BACKUP_DOCS})`
  const { code, path: at = path } = error as NodeJS.ErrnoException
  const remedy = accessRemedy(at, code)
  return remedy === undefined ? '' : `: ${remedy}`
}

function reopenNextTime(): void {
  const broken = file
  file = undefined
  try {
    broken?.close()
  } catch (error) {
    if (!isSqliteError(error)) throw error
  }
}

/** What no repetition repairs: nothing more may be appended to this file. */
function isDamage(error: unknown): boolean {
  return error instanceof FileReplaced || isDamagedFile(error)
}

function isDamagedFile(error: unknown): boolean {
  return isSqliteError(error) && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code)
}

function codeOf(error: unknown): StoreErrorCode {
  const code = (error as { code?: unknown }).code
  if (typeof code !== 'string') return 'refused'
  if (code.startsWith('SQLITE_CONSTRAINT')) return 'conflict'
  if (/^SQLITE_(BUSY|LOCKED|FULL|NOMEM)|^E(NOSPC|DQUOT|MFILE|NFILE)/.test(code)) return 'unavailable'
  if (/^SQLITE_IOERR|^E(IO|NXIO|REMOTEIO|STALE|TIMEDOUT)$/.test(code)) return 'unknown'
  return 'refused'
}

serve<Question, StoreFailure>({ answer, failure, close: () => file?.close() })
