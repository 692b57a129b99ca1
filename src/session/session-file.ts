import { closeSync, fchmodSync, openSync } from 'node:fs'
import { dirname } from 'node:path'

import type Sqlite from 'better-sqlite3'

import { DurableSqlite } from '../storage/durable-sqlite.js'
import { makeFolder } from '../storage/folder.js'

const VERSION = 1

// Only hashes of secrets are here. A wallet's row never goes, so that no wallet is ever handed to somebody else, and
// one auth token keeps its wallet for good; a child's wallet has no auth token, so that nobody can create its session anew.
const SCHEMA = `
  CREATE TABLE wallet (
    wallet TEXT PRIMARY KEY,
    auth_sha256 TEXT UNIQUE CHECK (length(auth_sha256) = 64),
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE session (
    token_sha256 TEXT PRIMARY KEY CHECK (length(token_sha256) = 64),
    wallet TEXT NOT NULL REFERENCES wallet,
    parent_sha256 TEXT REFERENCES session,
    scope TEXT CHECK (json_valid(scope)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX session_by_wallet ON session (wallet);
  CREATE INDEX session_by_parent ON session (parent_sha256);
  PRAGMA user_version = ${VERSION};
`

/** Opens or makes the file. SQLite gives the -wal and -shm files beside it the mode of the file itself. */
export function openSessionFile(path: string): DurableSqlite {
  makeFolder(dirname(path))
  const file = openSync(path, 'a', 0o600)
  fchmodSync(file, 0o600)
  closeSync(file)
  return new DurableSqlite(path, (db) => prepare(db, path))
}

function prepare(db: Sqlite.Database, path: string): void {
  db.pragma('foreign_keys = ON')
  const version = () => db.pragma('user_version', { simple: true })
  // Two processes that start at once make the tables once: the second looks again when it holds the file.
  db.transaction(() => {
    if (version() === 0) db.exec(SCHEMA)
  }).immediate()
  if (version() !== VERSION)
    throw new Error(
      `${path} has the format ${String(version())}, and this program knows ${VERSION}: use the newer program`,
    )
}
