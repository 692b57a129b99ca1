// The audit questions, asked of the read model through a connection that cannot write.

import Sqlite from 'better-sqlite3'

import { BrokerError } from '../domain/errors.js'
import type { MintKind } from '../domain/ledger/events.js'
import type { Approval } from '../domain/ledger/approvals.js'
import type { Grant } from '../domain/ledger/grants.js'
import { approvalOf, type ApprovalRow } from './approvals.js'
import type { CutOffRow } from './cut-offs.js'
import { grantOf, type GrantRow } from './grants.js'
import { type MintOutcome, type MintRow, STATES } from './mints.js'

export interface MintFilter {
  wallet?: string | undefined
  kind?: MintKind | undefined
  outcome?: MintOutcome | undefined
  mintId?: string | undefined
  accessKeyId?: string | undefined
  /** Of the time first seen: from `since` on, before `until`. */
  since?: Date | undefined
  until?: Date | undefined
}

export interface Page {
  limit: number
  /** The `nextCursor` of the page before. */
  cursor?: string | undefined
}

export interface Mints {
  /** Newest first. */
  mints: MintRow[]
  /** Where older ones go on; null at the end. Mints that are made meanwhile change no page behind it. */
  nextCursor: string | null
  /** How many entries of the ledger had been read when this was answered. */
  sizeSeen: number
}

/**
 * Queries run on the thread that signs tokens, so none may take long: whatever the filter, an index is walked from its
 * newest end and the walk stops at the page's limit. audit-query.test.ts asks SQLite for the plan of each.
 */
export class AuditQuery {
  private db: Sqlite.Database | undefined
  private readonly statements = new Map<string, Sqlite.Statement<[object], MintRow>>()

  /** The file is opened at the first question: the projector has made it by then. */
  constructor(private readonly path: string) {}

  /** Throws BrokerError 'bad_request' for an invalid cursor. */
  mints(filter: MintFilter, { limit, cursor }: Page): Mints {
    const before = cursor === undefined ? Infinity : parseCursor(cursor)
    return this.consistently((db) => {
      const sizeSeen = sizeSeenBy(db)
      const low = filter.since ? firstAtOrAfter(db, filter.since) : 0
      const high = Math.min(before, filter.until ? firstAtOrAfter(db, filter.until) : Infinity, sizeSeen)
      const { wallet, mintId, accessKeyId } = filter
      // One more than asked for tells whether there is a next page.
      const ask = { wallet, mintId, accessKeyId, low, high, limit: limit + 1 }
      const found = this.prepared(db, mintsSql(filter)).all(ask)
      const mints = found.slice(0, limit)
      const last = found.length > limit ? mints.at(-1) : undefined
      return { mints, nextCursor: last ? formatCursor(last.first_index) : null, sizeSeen }
    })
  }

  /** The mint whose JWT has this jti: where its entries are, for their proofs. */
  byJti(jti: string): MintRow | undefined {
    return this.mints({ mintId: jti }, { limit: 1 }).mints[0]
  }

  /** What is cut off now, oldest first. */
  cutOffs(): CutOffRow[] {
    const sql = 'SELECT kind, target, reason, entry_index, since FROM cut_offs ORDER BY entry_index'
    return this.consistently((db) => db.prepare<[], CutOffRow>(sql).all())
  }

  /** All grants; of a wallet, what it was granted and what it passed on. Newest first. */
  grants(wallet?: string): GrantRow[] {
    const which = wallet === undefined ? '' : 'WHERE wallet = @wallet OR granted_by = @wallet'
    const sql = `SELECT * FROM grants ${which} ORDER BY entry_index DESC LIMIT 10000`
    return this.consistently((db) => db.prepare<[object], GrantRow>(sql).all({ wallet }))
  }

  /** What the ledger's head has to know: whatever may still be used, or stands above something that may. */
  grantsInForce(): Grant[] {
    return this.consistently((db) => {
      const rows = db.prepare<[], GrantRow>('SELECT * FROM grants ORDER BY entry_index').all()
      return rows.map(grantOf)
    })
  }

  approval(approvalId: string): ApprovalRow | undefined {
    const sql = 'SELECT * FROM approvals WHERE approval_id = ?'
    return this.consistently((db) => db.prepare<[string], ApprovalRow>(sql).get(approvalId))
  }

  /** Newest first: those that wait for a decision at `at`, or all. */
  approvals(openAt?: Date): ApprovalRow[] {
    const which = openAt ? "WHERE state = 'open' AND expires_at > @at" : ''
    const sql = `SELECT * FROM approvals ${which} ORDER BY entry_index DESC LIMIT 1000`
    return this.consistently((db) =>
      db.prepare<[object], ApprovalRow>(sql).all({ at: openAt?.toISOString() }),
    )
  }

  /** What the ledger's head has to know of approvals: those that have not ended at `at`. */
  standingApprovals(at: Date): Approval[] {
    const sql = 'SELECT * FROM approvals WHERE state_until > ? ORDER BY entry_index'
    return this.consistently((db) => {
      return db.prepare<[string], ApprovalRow>(sql).all(at.toISOString()).map(approvalOf)
    })
  }

  close(): void {
    this.db?.close()
  }

  /** Everything `ask` reads is of one moment, while the projector goes on writing. */
  private consistently<T>(ask: (db: Sqlite.Database) => T): T {
    this.db ??= new Sqlite(this.path, { readonly: true, fileMustExist: true, timeout: 100 })
    const db = this.db
    return db.transaction(() => ask(db))()
  }

  private prepared(db: Sqlite.Database, sql: string): Sqlite.Statement<[object], MintRow> {
    const known = this.statements.get(sql)
    if (known) return known
    const statement = db.prepare<[object], MintRow>(sql)
    this.statements.set(sql, statement)
    return statement
  }
}

function sizeSeenBy(db: Sqlite.Database): number {
  return db.prepare<[], { size: number }>('SELECT size FROM position').get()?.size ?? 0
}

/** Times never run backwards in a ledger, so a bound in time is a bound in indexes; past the end there is no bound. */
function firstAtOrAfter(db: Sqlite.Database, time: Date): number {
  const sql =
    'SELECT first_index FROM mints WHERE first_seen_at >= ? ORDER BY first_seen_at, first_index LIMIT 1'
  return db.prepare<[string], MintRow>(sql).get(time.toISOString())?.first_index ?? Infinity
}

const RANGE = 'first_index >= @low AND first_index < @high'

/** The SQL for a filter: one of few texts, all made of constants. Values are bound. */
export function mintsSql(filter: MintFilter): string {
  if (filter.mintId !== undefined) return oneSql('mint_id = @mintId', filter)
  if (filter.accessKeyId !== undefined) return oneSql('access_key_id = @accessKeyId', filter)

  const states = statesOf(filter)
  // Each state is a stretch of an index in the order of first_index; SQLite merges them and stops at the limit.
  const wallet = filter.wallet === undefined ? '' : 'wallet = @wallet AND '
  const all = wallet === '' && states.length === STATES.length
  const walks = all
    ? [`SELECT first_index FROM mints WHERE ${RANGE}`]
    : states.map((state) => `SELECT first_index FROM mints WHERE ${wallet}${state} AND ${RANGE}`)
  if (walks.length === 0) return 'SELECT * FROM mints WHERE first_index = -1 LIMIT @limit'
  return `
    SELECT mints.* FROM (${walks.join(' UNION ALL ')} ORDER BY first_index DESC LIMIT @limit) AS page
    CROSS JOIN mints ON mints.first_index = page.first_index ORDER BY page.first_index DESC`
}

/** At most a few rows have the id; the rest of the filter is checked on them. A `+` keeps a term off the indexes. */
function oneSql(id: string, filter: MintFilter): string {
  const wallet = filter.wallet === undefined ? '' : 'AND +wallet = @wallet '
  const states = statesOf(filter).map((state) => `(${state.replaceAll(/kind|outcome/g, '+$&')})`)
  const anyState = states.length === 0 ? 'false' : states.join(' OR ')
  return `
    SELECT * FROM mints WHERE ${id} ${wallet}AND (${anyState}) AND +${RANGE.replace('AND ', 'AND +')}
    ORDER BY +first_index DESC LIMIT @limit`
}

function statesOf({ kind, outcome }: MintFilter): string[] {
  return STATES.filter((state) => (kind ?? state[0]) === state[0] && (outcome ?? state[1]) === state[1]).map(
    ([k, o]) => `kind ${k === null ? 'IS NULL' : `= '${k}'`} AND outcome = '${o}'`,
  )
}

function formatCursor(index: number): string {
  return Buffer.from(`mints before ${index}`).toString('base64url')
}

function parseCursor(cursor: string): number {
  const [, digits] = /^mints before (\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  const index = Number(digits)
  // What was read must print as it came: base64url has other spellings of the same bytes.
  if (digits === undefined || formatCursor(index) !== cursor) {
    throw new BrokerError('invalid-field', 'cursor must be a next_cursor of this API, or left out')
  }
  return index
}
