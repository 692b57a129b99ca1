import { closeSync, fchmodSync, openSync } from 'node:fs'
import { dirname } from 'node:path'

import type Sqlite from 'better-sqlite3'

import { DurableSqlite } from '../storage/durable-sqlite.js'
import { makeFolder } from '../storage/folder.js'

const VERSION = 2

// Only hashes of session tokens are here, and credentials as their owners encrypted them. A wallet's row never goes, so
// that no wallet is ever given to another party, and one auth token keeps its wallet for good; a child's wallet has no
// auth token, so a session of it cannot be created again.
const SESSIONS = `
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
`

const ACCOUNTS = `
  CREATE TABLE credential (
    wallet TEXT NOT NULL,
    service TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (wallet, service)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE identity (
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    wallet TEXT NOT NULL,
    PRIMARY KEY (type, value)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE account_event (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    agent TEXT NOT NULL,
    service TEXT NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE inbox (
    address TEXT PRIMARY KEY,
    wallet TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX inbox_by_wallet ON inbox (wallet);
  CREATE TABLE message (
    id TEXT PRIMARY KEY,
    address TEXT NOT NULL REFERENCES inbox,
    sender TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    received_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX message_by_address ON message (address, received_at);
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
    if (version() === 0) db.exec(SESSIONS)
    // Version 1 had the sessions alone.
    if (version() === 0 || version() === 1) db.exec(ACCOUNTS)
  }).immediate()
  if (version() !== VERSION)
    throw new Error(
      `${path} has the format ${String(version())}, and this program knows ${VERSION}: use the newer program`,
    )
}
