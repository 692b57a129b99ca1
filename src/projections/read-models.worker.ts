// The thread that owns the read models' file: parses entries, checks that they follow, and applies every projection.

import { statSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { workerData } from 'node:worker_threads'

import type Sqlite from 'better-sqlite3'

import { EntryError, parseEntry, type Sealed } from '../domain/ledger/entry.js'
import { type Finding, finding } from '../domain/ledger/findings.js'
import { LedgerSignatures, signedLength } from '../domain/ledger/ledger-signature.js'
import { isEventType, schemaProblem, unknownValue } from '../domain/ledger/event-schemas.js'
import { isOfKeys } from '../domain/ledger/signing-keys.js'
import type { Recorded } from './projection.js'
import { ForeignDatabaseError, openReadModelFile, PROJECTIONS } from './read-model-file.js'
import type {
  Applied,
  Head,
  Question,
  ReadModelErrorCode,
  ReadModelFailure,
  Row,
  ThreadData,
  Trust,
} from './read-models.js'
import type { SigningKeyRow } from './signing-keys.js'
import { serve } from '../worker/serve.js'
import { TileTable } from './tiles.js'

/** As SQLite's own default: a thousand pages. */
const CHECKPOINT_BYTES = 4 * 1024 * 1024

class Models {
  private head: Head
  private readonly signatures: LedgerSignatures
  private readonly tiles: TileTable
  private readonly apply: ((recorded: Recorded) => void)[]
  private readonly saveHead: Sqlite.Statement<[Head]>
  private readonly keyRows: Sqlite.Statement<[], SigningKeyRow>
  private readonly takeAll: Sqlite.Transaction<(rows: readonly Row[]) => Applied>

  static open({ path, trust }: ThreadData): Models {
    const db = openReadModelFile(path)
    try {
      return new Models(db, trust)
    } catch (error) {
      db.close()
      throw error
    }
  }

  private constructor(
    private readonly db: Sqlite.Database,
    private readonly trust: Trust,
  ) {
    this.signatures = new LedgerSignatures(trust.ledgerKey)
    // Nothing is synced at a commit. A power cut may take the last batches, never part of one: they are applied again.
    db.pragma('synchronous = NORMAL')
    // SQLite's own checkpoints keep a failed sync to themselves.
    db.pragma('wal_autocheckpoint = 0')
    // A WAL that begins again is cut first: its length is what the file does not have yet.
    db.pragma('journal_size_limit = 0')
    this.head = db.prepare<[], Head>('SELECT size, leaf_hash AS leafHash, time FROM position').get() as Head
    this.tiles = new TileTable(db, this.head.size)
    this.apply = PROJECTIONS.map((projection) => projection.prepare(db))
    this.saveHead = db.prepare('UPDATE position SET size = @size, leaf_hash = @leafHash, time = @time')
    this.keyRows = db.prepare('SELECT * FROM signing_keys ORDER BY published_index')
    // Rows and head become visible and durable together: after a crash the next batch starts where this one ended.
    this.takeAll = db.transaction((rows) => this.takeUpTo(rows))
  }

  opened(): Applied {
    return { head: this.head, keys: this.keyRows.all() }
  }

  take(rows: readonly Row[]): Applied {
    const applied = this.takeAll.immediate(rows)
    this.checkpoint()
    this.head = applied.head
    return applied
  }

  /** Throws when a sync fails; the batch is committed by then, so the reopened file goes on after it. */
  private checkpoint(): void {
    if (statSync(`${this.db.name}-wal`).size >= CHECKPOINT_BYTES) this.db.pragma('wal_checkpoint(PASSIVE)')
  }

  /** As many of the rows as follow the head and are signed. */
  private takeUpTo(rows: readonly Row[]): Applied {
    const { entries, found } = followers(this.head, rows)
    const taken = this.takenOf(entries, rows)
    const problem = this.headProblem(entries.slice(0, taken)) ?? found
    if (problem && problem !== found) return { head: this.head, finding: problem }
    let keysChanged = false
    for (const sealed of entries.slice(0, taken)) {
      const event = recorded(sealed)
      if (event) for (const apply of this.apply) apply(event)
      this.tiles.append(sealed.leafHash)
      keysChanged ||= event !== undefined && isOfKeys(event.type)
    }
    this.tiles.save()
    const head = headAfter(this.head, entries[taken - 1])
    this.saveHead.run(head)
    return {
      head,
      unsigned: entries.length - taken,
      ...(keysChanged ? { keys: this.keyRows.all() } : {}),
      ...(found ? { finding: found } : {}),
    }
  }

  private takenOf(entries: readonly Sealed[], rows: readonly Row[]): number {
    const known = (this.trust.signedHead?.size ?? 0) - this.head.size
    const signed = signedLength(
      entries.map(({ entry: { index }, leafHash }, i) => ({
        index,
        leafHash,
        signature: rows[i]?.signature,
      })),
      this.signatures,
    )
    return Math.max(signed, Math.min(entries.length, known))
  }

  /** What was taken because it leads to the signed head must do so. */
  private headProblem(taken: readonly Sealed[]): Finding | undefined {
    const { size, leafHash } = this.trust.signedHead ?? { size: 0, leafHash: '' }
    const last = taken[size - 1 - this.head.size]
    if (!last || last.leafHash === leafHash) return undefined
    return finding(size - 1, 'other-head', `entry ${size - 1} is not the one that was found to be signed`)
  }

  close(): void {
    this.db.close()
  }
}

/** The rows as entries that follow `head`, up to the first invalid one. */
function followers(head: Head, rows: readonly Row[]): { entries: Sealed[]; found: Finding | undefined } {
  const entries: Sealed[] = []
  for (const { text } of rows) {
    const next = follower(headAfter(head, entries.at(-1)), text)
    if ('kind' in next) return { entries, found: next }
    entries.push(next)
  }
  return { entries, found: undefined }
}

function headAfter(head: Head, last: Sealed | undefined): Head {
  return last ? { size: last.entry.index + 1, leafHash: last.leafHash, time: last.entry.time } : head
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
  const problem = isEventType(type) ? schemaProblem(type, data) : undefined
  return problem ? finding(index, 'wrong-shape', `${type}: ${problem}`) : sealed
}

/**
 * Undefined for an event of a type or a kind that only a later version knows: brokers of both versions share the
 * ledger, and read models have no row for it. Other new values (a reason, a code) are kept as they are.
 */
function recorded({ entry: { type, data, index, time } }: Sealed): Recorded | undefined {
  if (!isEventType(type)) return undefined
  const unknown = unknownValue(type, data)
  if (unknown === 'kind' || unknown === 'purpose') return undefined
  // follower() has checked the data's shape against the type.
  return { type, data, index, time } as unknown as Recorded
}

yieldToMints()

const data = workerData as ThreadData
const { path } = data
let models: Models | undefined

/**
 * Read models may lag, mints may not wait: on a busy machine this thread yields. Only Linux gives a thread its own
 * priority; elsewhere this would slow down the whole process. Best effort: a sandbox may not allow it (systemd's
 * SystemCallFilter=~@resources).
 */
function yieldToMints(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    return
  }
}

function answer(question: Question): Applied {
  switch (question.op) {
    case 'open':
      models = Models.open(data)
      return models.opened()
    case 'apply':
      if (!models) throw new NotOpen()
      return models.take(question.rows)
  }
}

/** This thread was started in the place of one that ended. */
class NotOpen extends Error {
  constructor() {
    super('the read-model thread ended')
  }
}

function failure(error: unknown): ReadModelFailure {
  if (error instanceof NotOpen) return { code: 'unavailable', message: error.message }
  const code = codeOf(error)
  const remedy =
    code === 'refused' && !(error instanceof ForeignDatabaseError)
      ? `: BROKER_AUDIT_DB_PATH must be a writable SQLite file; once moved away it is rebuilt from the ledger`
      : ''
  return { code, message: `${path}: ${(error as Error).message}${remedy}` }
}

function codeOf(error: unknown): ReadModelErrorCode {
  const code = (error as { code?: unknown }).code
  const passing = /^SQLITE_(?:BUSY|LOCKED|FULL|NOMEM|IOERR)|^E(?:NOSPC|DQUOT|MFILE|NFILE)$/
  return typeof code === 'string' && passing.test(code) ? 'unavailable' : 'refused'
}

serve<Question, ReadModelFailure>({ answer, failure, close: () => models?.close() })
