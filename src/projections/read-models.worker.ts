// The thread that owns the read-model file: parses entries, checks that they follow, and applies every projection.
// Everything in the file can be made again from the ledger, so it is safe to lose, and never a source of answers to
// what may be minted.

import { closeSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { dirname } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'

import Sqlite from 'better-sqlite3'

import { EntryError, GENESIS, parseEntry, type Sealed } from '../domain/ledger/entry.js'
import { type Finding, finding } from '../domain/ledger/findings.js'
import { isEventType, shapeProblem } from '../domain/ledger/shapes.js'
import { mints } from './mints.js'
import type { Projection, Recorded } from './projection.js'
import type { Answer, Applied, Head, ReadModelErrorCode } from './read-models.js'
import { refusals } from './refusals.js'
import { type SigningKeyRow, signingKeys } from './signing-keys.js'
import { TILES_SCHEMA, TileTable } from './tiles.js'

const PROJECTIONS: readonly Projection[] = [mints, refusals, signingKeys]

/** Raise it with every change of a projection's tables or of what it makes of an event: files are then made anew. */
const VERSION = 2

/** "AgKR" in the file's header says that a SQLite file is a read model, and so may be thrown away. */
const APPLICATION_ID = 0x41674b52

const POSITION = `
  CREATE TABLE position (
    id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, leaf_hash TEXT NOT NULL, time TEXT NOT NULL
  ) STRICT;
  INSERT INTO position VALUES (1, 0, '${GENESIS}', '');
`

class ReadModelFile {
  private head: Head
  private readonly tiles: TileTable
  private readonly apply: ((recorded: Recorded) => void)[]
  private readonly saveHead: Sqlite.Statement<[Head]>
  private readonly keyRows: Sqlite.Statement<[], SigningKeyRow>
  private readonly takeAll: Sqlite.Transaction<(texts: readonly string[]) => Applied>

  constructor(private readonly db: Sqlite.Database) {
    // Nothing is synced at a commit. A power cut may take the last batches, never part of one: they are applied again.
    db.pragma('synchronous = NORMAL')
    this.head = db.prepare<[], Head>('SELECT size, leaf_hash AS leafHash, time FROM position').get() as Head
    this.tiles = new TileTable(db, this.head.size)
    this.apply = PROJECTIONS.map((projection) => projection.prepare(db))
    this.saveHead = db.prepare('UPDATE position SET size = @size, leaf_hash = @leafHash, time = @time')
    this.keyRows = db.prepare('SELECT * FROM signing_keys ORDER BY published_index')
    // Rows and head become visible and durable together: after a crash the next batch starts where this one ended.
    this.takeAll = db.transaction((texts) => this.takeUpTo(texts))
  }

  opened(): Applied {
    return { head: this.head, keys: this.keyRows.all() }
  }

  take(texts: readonly string[]): Applied {
    const applied = this.takeAll.immediate(texts)
    this.head = applied.head
    return applied
  }

  /** As many of the texts as are good. */
  private takeUpTo(texts: readonly string[]): Applied {
    let head = this.head
    let keysChanged = false
    let found: Finding | undefined
    for (const text of texts) {
      const next = follower(head, text)
      if ('kind' in next) {
        found = next
        break
      }
      const { entry, leafHash } = next
      const event = recorded(next)
      if (event) for (const apply of this.apply) apply(event)
      this.tiles.append(leafHash)
      keysChanged ||= entry.type.startsWith('SigningKey')
      head = { size: head.size + 1, leafHash, time: entry.time }
    }
    this.tiles.save()
    this.saveHead.run(head)
    return {
      head,
      ...(keysChanged ? { keys: this.keyRows.all() } : {}),
      ...(found ? { finding: found } : {}),
    }
  }

  close(): void {
    this.db.close()
  }
}

/** The text as the entry that follows `head`, or why it is not that. */
function follower(head: Head, text: string): Sealed | Finding {
  let sealed: Sealed
  try {
    sealed = parseEntry(text)
  } catch (error) {
    if (error instanceof EntryError) return finding(head.size, error.problem, error.message)
    throw error
  }
  const { index, prev, time, type, data } = sealed.entry
  if (index !== head.size) return finding(head.size, 'wrong-index', `the entry says index ${index}`)
  if (prev !== head.leafHash) {
    return finding(
      index,
      'broken-link',
      `prev is ${prev}, and the entry before has the leaf hash ${head.leafHash}`,
    )
  }
  if (time < head.time) return finding(index, 'time-backwards', `its time ${time} is before ${head.time}`)
  const problem = isEventType(type) ? shapeProblem(type, data) : undefined
  return problem ? finding(index, 'wrong-shape', `${type}: ${problem}`) : sealed
}

/** Undefined for an event that only a later version knows: it shares our ledger, and its news are no questions of ours. */
function recorded({ entry: { type, data, index, time } }: Sealed): Recorded | undefined {
  if (!isEventType(type)) return undefined
  // follower() has checked the data's shape against the type.
  return { type, data, index, time } as unknown as Recorded
}

/** The read model is somebody else's file, and stays untouched. */
class NotOurs extends Error {}

function open(path: string): ReadModelFile {
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
    }
    return new ReadModelFile(db)
  } catch (error) {
    db.close()
    throw error
  }
}

function connect(path: string): Sqlite.Database {
  return new Sqlite(path, { timeout: 2000 })
}

/** Whether the file is a read model of this version. Throws NotOurs for a file that must not be thrown away. */
function isCurrent(db: Sqlite.Database, path: string): boolean {
  if (statSync(path).size === 0) return false
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new NotOurs(
      `BROKER_AUDIT_DB_PATH ${path} is not this broker's read model (the original broker kept its mint_log there): ` +
        'move the file away, or name another path; nothing in it was changed',
    )
  }
  return db.pragma('user_version', { simple: true }) === VERSION
}

function create(db: Sqlite.Database): void {
  // First of all, so that no crash leaves a file of ours that the next start takes for somebody else's.
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma('journal_mode = WAL')
  db.transaction(() => {
    db.exec(POSITION)
    for (const { schema } of PROJECTIONS) db.exec(schema)
    db.exec(TILES_SCHEMA)
    db.pragma(`user_version = ${VERSION}`)
  })()
}

// Read models may lag, mints may not wait: on a busy machine this thread yields. Only Linux gives a thread its own
// priority; elsewhere this would slow down the whole process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL)

const path = workerData as string
let file: ReadModelFile | undefined

function answer(act: () => Applied): Answer {
  try {
    return { ok: true, applied: act() }
  } catch (error) {
    const code = codeOf(error)
    const remedy =
      code === 'refused' && !(error instanceof NotOurs)
        ? `: BROKER_AUDIT_DB_PATH ${path} must be a writable SQLite file; once moved away it is made anew from the ledger`
        : ''
    return { ok: false, code, message: (error as Error).message + remedy }
  }
}

function codeOf(error: unknown): ReadModelErrorCode {
  const code = (error as { code?: unknown }).code
  const passing = /^SQLITE_(?:BUSY|LOCKED|FULL|NOMEM|IOERR)|^E(?:NOSPC|DQUOT|MFILE|NFILE)$/
  return typeof code === 'string' && passing.test(code) ? 'unavailable' : 'refused'
}

parentPort?.on('message', (message: 'close' | readonly string[]) => {
  if (message === 'close') {
    file?.close()
    parentPort?.close()
    return
  }
  parentPort?.postMessage(answer(() => (file as ReadModelFile).take(message)))
})
parentPort?.postMessage(
  answer(() => {
    file = open(path)
    return file.opened()
  }),
)
