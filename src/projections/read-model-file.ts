// The read-model database: ownership check, schema version, rebuild. All in it can be
// made again from the ledger, so it is safe to lose, and never a source of answers to what may be minted.

import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

import Sqlite from 'better-sqlite3'

import { GENESIS } from '../domain/ledger/entry.js'
import { approvals } from './approvals.js'
import { cutOffs } from './cut-offs.js'
import { grants } from './grants.js'
import { mints } from './mints.js'
import { writeWalAgain } from '../storage/durable-sqlite.js'
import { isSqliteError } from '../storage/sqlite-error.js'
import type { Projection } from './projection.js'
import { refusals } from './refusals.js'
import { signingKeys } from './signing-keys.js'
import { TILES_SCHEMA } from './tiles.js'

export const PROJECTIONS: readonly Projection[] = [mints, refusals, signingKeys, cutOffs, grants, approvals]

/** Raise it with every change of a projection's tables or of what it makes of an event: files are then rebuilt. */
const VERSION = 6

/** "AgKR" in the file's header says that a SQLite file is a read model, and so may be thrown away. */
const APPLICATION_ID = 0x41674b52

const POSITION = `
  CREATE TABLE position (
    id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, leaf_hash TEXT NOT NULL, time TEXT NOT NULL
  ) STRICT;
  INSERT INTO position VALUES (1, 0, '${GENESIS}', '');
`

/** The file belongs to another program, and stays untouched. */
export class ForeignDatabaseError extends Error {}

/** Opens the file; rebuilds it where it is missing or of another version. Throws ForeignDatabaseError. */
export function openReadModelFile(path: string): Sqlite.Database {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives its -wal and -shm files the mode of this one.
  closeSync(openSync(path, 'a', 0o600))
  let db = connect(path)
  try {
    if (!isCurrent(db, path)) {
      db.close()
      for (const suffix of ['-wal', '-shm', '']) rmSync(path + suffix, { force: true })
      closeSync(openSync(path, 'ax', 0o600))
      db = connect(path)
      create(db)
    } else settle(db, path)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** How many entries of a ledger the file was made of, of whatever version it is; 0 where there is no read model. */
export function sizeOfReadModels(path: string): number {
  if (!existsSync(path)) return 0
  let db: Sqlite.Database | undefined
  try {
    db = new Sqlite(path, { readonly: true })
    if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) return 0
    return (db.prepare('SELECT size FROM position').get() as { size: number }).size
  } catch (error) {
    // A file that cannot be read remembers nothing. To say so is for those who open it.
    if (isSqliteError(error)) return 0
    throw error
  } finally {
    db?.close()
  }
}

/**
 * After a sync that failed, a checkpoint could leave the file half written at a power cut, with a WAL that the disk does
 * not have: what an earlier connection left in it is written again first. Throws where that cannot be synced.
 */
function settle(db: Sqlite.Database, path: string): void {
  writeWalAgain(db, path)
  db.pragma('wal_checkpoint(PASSIVE)')
}

function connect(path: string): Sqlite.Database {
  return new Sqlite(path, { timeout: 2000 })
}

/** Whether the file is a read model of this version. Throws NotOurs for a file that must not be thrown away. */
function isCurrent(db: Sqlite.Database, path: string): boolean {
  if (statSync(path).size === 0) return false
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new ForeignDatabaseError(
      `BROKER_AUDIT_DB_PATH ${path} is not this broker's read model (the original broker kept its mint_log there): ` +
        'move the file away, or name another path; nothing in it was changed',
    )
  }
  return db.pragma('user_version', { simple: true }) === VERSION
}

function create(db: Sqlite.Database): void {
  // First of all, so that no crash leaves a file of ours that the next start takes for another program's.
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma('journal_mode = WAL')
  db.transaction(() => {
    db.exec(POSITION)
    for (const { schema } of PROJECTIONS) db.exec(schema)
    db.exec(TILES_SCHEMA)
    db.pragma(`user_version = ${VERSION}`)
  })()
}
