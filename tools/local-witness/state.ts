// What a witness must never forget: its key, and the last checkpoint it cosigned of each log.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'

import { parseSignedCheckpoint, type SignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { formatSkey, parseSkey, type Signer, signerFromSeed } from '../../src/domain/ledger/note.js'
import { writeFileAtomically } from '../../src/storage/atomic-file.js'
import { PrivateFileError, readDurablePrivateFile } from '../../src/storage/private-file.js'

/** Loads `witness-key` from the folder, or makes one under `name`. Throws PrivateFileError. */
export function loadOrCreateWitnessKey(dir: string, name: string): Signer {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, 'witness-key')
  const text = readDurablePrivateFile(path)
  if (text === undefined) {
    const seed = randomBytes(32)
    writeFileAtomically(path, `${formatSkey(name, seed)}\n`, 0o600)
    return signerFromSeed(name, 'cosignature', seed)
  }
  const { key, seed } = parsedKey(path, text)
  if (key.name !== name)
    throw new PrivateFileError(path, `it is the key of ${key.name}: use --name ${key.name}, or another --dir`)
  return signerFromSeed(name, 'cosignature', seed)
}

function parsedKey(path: string, text: string): ReturnType<typeof parseSkey> {
  try {
    return parseSkey(text.trimEnd())
  } catch {
    // The parser's message may quote the key.
    throw new PrivateFileError(path, 'it is malformed: restore it, or let --dir name an empty folder')
  }
}

/** One row a log. Every write is synced before it returns. */
export class CosignedCheckpoints {
  private readonly db: Sqlite.Database

  constructor(dir: string) {
    this.db = new Sqlite(join(dir, 'witness.sqlite'))
    // EXTRA also syncs the folder once the rollback journal is gone: an update cannot come undone in a power cut.
    this.db.pragma('synchronous = EXTRA')
    this.db.exec(
      'CREATE TABLE IF NOT EXISTS log (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, checkpoint TEXT NOT NULL) STRICT',
    )
  }

  latest(origin: string): SignedCheckpoint | undefined {
    const text = this.db
      .prepare<[string], string>('SELECT checkpoint FROM log WHERE origin = ?')
      .pluck()
      .get(origin)
    return text === undefined ? undefined : parseSignedCheckpoint(text)
  }

  origins(): string[] {
    return this.db.prepare<[], string>('SELECT origin FROM log').pluck().all()
  }

  /**
   * Compare and set: false if the log is no longer at `oldSize`, as when a second witness process runs on this folder.
   * `checkpoint` is the whole signed note.
   */
  advance(origin: string, oldSize: number, size: number, checkpoint: string): boolean {
    const { changes } = this.db
      .prepare<{ origin: string; oldSize: number; size: number; checkpoint: string }>(
        `INSERT INTO log (origin, size, checkpoint) SELECT @origin, @size, @checkpoint
           WHERE @oldSize = 0 OR EXISTS (SELECT 1 FROM log WHERE origin = @origin)
           ON CONFLICT (origin) DO UPDATE SET size = @size, checkpoint = @checkpoint WHERE size = @oldSize`,
      )
      .run({ origin, oldSize, size, checkpoint })
    return changes === 1
  }

  close(): void {
    this.db.close()
  }
}
