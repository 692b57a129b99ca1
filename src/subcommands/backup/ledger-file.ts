// A ledger's SQLite file that is copied or looked at, and not written to.

import { closeSync, fsyncSync, openSync } from 'node:fs'

import Sqlite from 'better-sqlite3'

import type { SignedCheckpoint } from '../../domain/ledger/checkpoint.js'
import type { Verdict } from '../../domain/ledger/verify.js'
import { verifiedRows } from '../../ledger/verified-rows.js'
import { isSqliteError } from '../../storage/sqlite-error.js'

/** One read transaction, so it is the file of one moment, and no writer waits for it. */
export function copyDatabase(from: string, to: string): void {
  const source = new Sqlite(from, { readonly: true, fileMustExist: true, timeout: 10_000 })
  try {
    // SQLite takes an empty file, and would make one that others may read.
    const target = openSync(to, 'wx', 0o600)
    try {
      source.prepare('VACUUM INTO ?').run(to)
      fsyncSync(target)
    } finally {
      closeSync(target)
    }
  } finally {
    source.close()
  }
}

/** Throws LedgerRefused, or SQLite's error. */
export function verifiedFile(
  path: string,
  checkpoints: readonly SignedCheckpoint[],
  what = 'the ledger',
): Verdict {
  const db = new Sqlite(path, { readonly: true, fileMustExist: true })
  try {
    const rows = db.prepare<[], string>('SELECT entry FROM ledger ORDER BY idx').pluck().iterate()
    return verifiedRows(rows, checkpoints, what)
  } finally {
    db.close()
  }
}

/** How many entries the file shows, whatever they are; 0 where it cannot be read. */
export function sizeOfFile(path: string): number {
  let db: Sqlite.Database | undefined
  try {
    db = new Sqlite(path, { readonly: true, fileMustExist: true })
    return db.prepare<[], number>('SELECT coalesce(max(idx) + 1, 0) FROM ledger').pluck().get() ?? 0
  } catch (error) {
    if (isSqliteError(error)) return 0
    throw error
  } finally {
    db?.close()
  }
}
