// A SQLite file whose content counts as durable: all that it shows has been synced, and it is the file that its path
// names. docs/design.md, "What is durable".

import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

import Sqlite from 'better-sqlite3'

import { makeFolder, syncFolder } from './folder.js'

/** A WAL that grew beyond it (a reader held up the checkpoint) is cut back to it. */
const WAL_BYTES = 8 * 1024 * 1024
const BUSY_MS = 2_000
const CHUNK_BYTES = 1024 * 1024

/** The path no longer names the open file: what is written to it would be lost with this process. */
export class FileReplaced extends Error {
  constructor(path: string) {
    super(
      `${path} was removed, moved or replaced while it was open: stop this broker, ` +
        'put the file back together with those that belong to it, then start again',
    )
    this.name = 'FileReplaced'
  }
}

export class DurableSqlite {
  readonly db: Sqlite.Database
  private readonly files: { path: string; dev: bigint; ino: bigint }[]

  /**
   * Opens the file, or makes it, for its owner alone. Throws SQLite's error or the system's.
   *
   * SQLite recovers the commits of a WAL file from the page cache. One whose sync failed is there as well, and the kernel
   * may have marked its pages clean, so that a later sync succeeds without writing them. So the WAL is first written
   * again, byte for byte, and synced; then a checkpoint copies it into the file and syncs that. The checkpoint is needed
   * too: until the first one, the header of a new file may never have reached the disk, and SQLite deletes the WAL of a
   * file that is empty.
   */
  constructor(path: string, prepare: (db: Sqlite.Database) => void) {
    makeFolder(dirname(path))
    closeSync(openSync(path, 'a', 0o600))
    this.db = new Sqlite(path, { timeout: BUSY_MS })
    try {
      this.db.pragma('journal_mode = WAL')
      this.db.pragma('synchronous = FULL')
      this.db.pragma(`journal_size_limit = ${WAL_BYTES}`)
      writeWalAgain(this.db, path)
      prepare(this.db)
      this.db.pragma('wal_checkpoint(TRUNCATE)')
      syncFolder(dirname(path))
      this.files = [path, `${path}-wal`, `${path}-shm`].map((each) => ({ path: each, ...identityOf(each) }))
    } catch (error) {
      this.db.close()
      throw error
    }
  }

  /** Throws FileReplaced. The -shm counts too: processes that have different ones write over each other. */
  assertInPlace(): void {
    for (const { path, dev, ino } of this.files) {
      const now = identityOf(path)
      if (now.dev !== dev || now.ino !== ino) throw new FileReplaced(path)
    }
  }

  close(): void {
    this.db.close()
  }
}

/** While a file is open its inode number is not reused. Zero: the file is missing. */
function identityOf(path: string): { dev: bigint; ino: bigint } {
  const { dev, ino } = statSync(path, { bigint: true, throwIfNoEntry: false }) ?? { dev: 0n, ino: 0n }
  return { dev, ino }
}

/** The WAL of an open file, byte for byte, and synced: for what a checkpoint then copies from it. */
export function writeWalAgain(db: Sqlite.Database, path: string): void {
  // No other process may write to the WAL meanwhile. SQLite keeps no lock on that file that closing it would drop.
  db.exec('BEGIN IMMEDIATE')
  writeAgain(`${path}-wal`)
  db.exec('COMMIT')
}

function writeAgain(path: string): void {
  const file = openSync(path, 'r+')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (let at = 0, read: number; (read = readSync(file, chunk, 0, CHUNK_BYTES, at)) > 0; at += read) {
      for (let done = 0; done < read;) done += writeSync(file, chunk, done, read - done, at + done)
    }
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
