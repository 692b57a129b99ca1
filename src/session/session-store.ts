import { hash, randomBytes } from 'node:crypto'

import type Sqlite from 'better-sqlite3'

import { MOST_PARENTS, type ParentSession, type Scope } from '../domain/ledger/child-session.js'
import { parseWallet, type Wallet } from '../domain/wallet.js'
import { assertWellFormed, type Session, SessionBackend, SessionError } from './session-backend.js'
import { type DurableSqlite, FileReplaced } from '../storage/durable-sqlite.js'
import { isSqliteError } from '../storage/sqlite-error.js'
import { AccountStore, type AccountCall, type Mail } from './account-store.js'
import { openSessionFile } from './session-file.js'
import { SessionRefusal } from './session-scope.js'

export const SESSION_TTL_SECONDS = 2_592_000
const EXPIRED_KEPT_SECONDS = 86_400

/** The only time the token is seen: what is stored is its SHA-256. */
export interface IssuedSession {
  session: string
  wallet: Wallet
}

export type RevokeTarget = { session: string } | { wallet: Wallet }

interface Row {
  token_sha256: string
  wallet: string
  parent_sha256: string | null
  scope: string | null
  expires_at: number
  revoked_at: number | null
}

interface Target {
  session: string | null
  wallet: string | null
}

const FIND =
  'SELECT token_sha256, wallet, parent_sha256, scope, expires_at, revoked_at FROM session WHERE token_sha256 = ?'

const PARENTS = `
  WITH RECURSIVE above (token_sha256, wallet, parent_sha256, depth) AS (
    SELECT token_sha256, wallet, parent_sha256, 1 FROM session WHERE token_sha256 = ?
    UNION ALL
    SELECT parent.token_sha256, parent.wallet, parent.parent_sha256, depth + 1
    FROM session parent JOIN above ON parent.token_sha256 = above.parent_sha256
    WHERE depth <= ${MOST_PARENTS}
  )
  SELECT token_sha256 AS tokenSha256, wallet FROM above ORDER BY depth`

const IS_OWNED = `
  SELECT min(target.wallet = @caller OR parent.wallet IS @caller) AS owned
  FROM session target LEFT JOIN session parent ON parent.token_sha256 = target.parent_sha256
  WHERE target.token_sha256 = @session OR target.wallet = @wallet`

const REVOKE = `
  WITH RECURSIVE doomed (token_sha256) AS (
    SELECT token_sha256 FROM session WHERE token_sha256 = @session OR wallet = @wallet
    UNION
    SELECT child.token_sha256 FROM session child JOIN doomed ON child.parent_sha256 = doomed.token_sha256
  )
  UPDATE session SET revoked_at = @now WHERE revoked_at IS NULL AND token_sha256 IN doomed`

const ADD_SESSION = `
  INSERT INTO session (token_sha256, wallet, parent_sha256, scope, created_at, expires_at)
  VALUES (@token, @wallet, @parent, @scope, @now, @expires)`

/**
 * The session backend of a broker that is not given one, as its thread has it (embedded-sessions.worker.ts). Any auth token but `invalid` is let in: who can reach `create`
 * can have a session, so it is for one machine and its owner (src/http/session-listener.ts serves loopback only).
 *
 * A child belongs to a wallet of its own. It ends when its parent ends: it has the parent's expiry, and revoking a
 * session revokes all that descend from it in the same transaction, so validate looks at one row only.
 */
export class SessionStore extends SessionBackend {
  private readonly file: DurableSqlite
  private readonly db: Sqlite.Database
  private readonly find: Sqlite.Statement<[string], Row>
  private readonly findParents: Sqlite.Statement<[string], ParentSession>
  private readonly probe: Sqlite.Statement<[]>
  private readonly accounts: AccountStore

  constructor(
    path: string,
    private readonly now: () => Date,
  ) {
    super()
    this.file = openSessionFile(path)
    this.db = this.file.db
    this.find = this.db.prepare(FIND)
    this.findParents = this.db.prepare(PARENTS)
    this.probe = this.db.prepare('SELECT 1 FROM session LIMIT 1')
    this.accounts = new AccountStore(this.db, () => this.seconds())
  }

  /** Not when the file is opened, before the clock was held against the ledger; and not at once: for a day its holder still gets "expired" rather than "unknown". */
  deleteExpired(): void {
    this.db.prepare('DELETE FROM session WHERE expires_at < ?').run(this.seconds() - EXPIRED_KEPT_SECONDS)
  }

  validate(bearer: string): Promise<Session> {
    return new Promise((resolve) => resolve(this.store(() => this.session(bearer))))
  }

  healthy(): Promise<boolean> {
    try {
      this.file.assertInPlace()
      this.probe.get()
      return Promise.resolve(true)
    } catch {
      return Promise.resolve(false)
    }
  }

  close(): Promise<void> {
    this.db.close()
    return Promise.resolve()
  }

  /** The same auth token again is the same wallet and one session more: those before stay valid. */
  create(authToken: string): IssuedSession {
    // A lone surrogate has no UTF-8 form of its own: two such tokens would hash to one wallet.
    if (authToken === '' || authToken === 'invalid' || !authToken.isWellFormed())
      throw new SessionError('unauthorized', 'auth token not valid')
    return this.change(() => {
      const auth = sha256(authToken)
      this.run(
        'INSERT INTO wallet VALUES (?, ?, ?) ON CONFLICT (auth_sha256) DO NOTHING',
        newWallet(),
        auth,
        this.seconds(),
      )
      const known = this.db.prepare<[string], { wallet: Wallet }>(
        'SELECT wallet FROM wallet WHERE auth_sha256 = ?',
      )
      const wallet = walletOf(known.get(auth))
      return this.add(wallet, { parent: null, scope: null, expires: this.seconds() + SESSION_TTL_SECONDS })
    })
  }

  /** A session for a wallet that has proved itself (wallet-login.ts). */
  createFor(wallet: Wallet): IssuedSession {
    return this.change(() => {
      this.run('INSERT INTO wallet VALUES (?, NULL, ?) ON CONFLICT DO NOTHING', wallet, this.seconds())
      return this.add(wallet, { parent: null, scope: null, expires: this.seconds() + SESSION_TTL_SECONDS })
    })
  }

  /** What a wallet keeps here (account-store.ts), in one transaction with the look at the session. */
  account(bearer: string, call: AccountCall): unknown {
    const answer = this.change(() => {
      const row = this.live(bearer)
      const scope = row.scope === null ? undefined : (JSON.parse(row.scope) as Scope)
      return this.accounts.answer({ wallet: walletOf(row), scope }, call)
    })
    if (answer instanceof SessionRefusal) throw answer
    return answer
  }

  /** For the mail router. Addresses are kept in lower case. */
  inboxOwner(address: string): Wallet | undefined {
    return this.store(() => this.accounts.inboxOwner(address))
  }

  deliver(mail: Mail): string {
    return this.change(() => this.accounts.deliver(mail))
  }

  child(bearer: string, scope: Scope): IssuedSession {
    return this.change(() => {
      const parent = this.live(bearer)
      assertNarrower(scope, parent)
      if (this.parents(parent).length >= MOST_PARENTS)
        throw new SessionRefusal('denied', `at most ${MOST_PARENTS} sessions may be above a session`)
      const wallet = newWallet()
      this.run('INSERT INTO wallet VALUES (?, NULL, ?)', wallet, this.seconds())
      return this.add(wallet, {
        parent: parent.token_sha256,
        scope: JSON.stringify(scope),
        expires: parent.expires_at,
      })
    })
  }

  /**
   * Returns how many sessions this call has ended, descendants included; 0 when all had ended before.
   * The caller owns what has its own wallet, and the children of sessions of its own wallet.
   */
  revoke(bearer: string, target: RevokeTarget): number {
    return this.change(() => {
      const { wallet: caller } = this.live(bearer)
      const which: Target =
        'session' in target
          ? { session: sha256(target.session), wallet: null }
          : { session: null, wallet: target.wallet }
      const { owned } = this.db
        .prepare<[Target & { caller: string }], { owned: number | null }>(IS_OWNED)
        .get({ ...which, caller }) ?? { owned: null }
      if (owned === null) throw new SessionRefusal('not-found', 'no such session')
      if (owned === 0) throw new SessionRefusal('denied', 'the session belongs to another wallet')
      return this.run(REVOKE, { ...which, now: this.seconds() })
    })
  }

  private session(bearer: string): Session {
    const row = this.live(bearer)
    const session: Session = { wallet: walletOf(row), backend: 'embedded' }
    if (row.scope === null) return session
    const parents = this.parents(row)
    // Only a file from before there was a limit has one. It could not be cut off through all that are above it.
    if (parents.length > MOST_PARENTS)
      throw new SessionError('unauthorized', `more than ${MOST_PARENTS} sessions are above this session`)
    return { ...session, child: { ...(JSON.parse(row.scope) as Scope), parents } }
  }

  private parents({ parent_sha256: parent }: Row): ParentSession[] {
    return parent === null ? [] : this.findParents.all(parent)
  }

  /** The lookup is by SHA-256: what its timing could tell is about the hash, which says nothing of the token. */
  private live(bearer: string): Row {
    assertWellFormed(bearer)
    const row = this.find.get(sha256(bearer))
    if (!row) throw new SessionError('unauthorized', 'session not found')
    if (row.revoked_at !== null) throw new SessionError('unauthorized', 'session revoked')
    if (this.seconds() > row.expires_at) throw new SessionError('unauthorized', 'session expired')
    return row
  }

  private add(
    wallet: Wallet,
    row: { parent: string | null; scope: string | null; expires: number },
  ): IssuedSession {
    const session = randomBytes(32).toString('hex')
    this.run(ADD_SESSION, { ...row, wallet, token: sha256(session), now: this.seconds() })
    return { session, wallet }
  }

  private run(sql: string, ...values: unknown[]): number {
    return this.db.prepare(sql).run(...values).changes
  }

  /** Durable when it returns: COMMIT in WAL mode with synchronous=FULL has synced the log, and the file has its name. */
  private change<T>(work: () => T): T {
    return this.store(() => this.db.transaction(work).immediate())
  }

  /** A store that fails is doubt, and doubt is no session. SQLite's message stays in the cause: it may name a path. */
  private store<T>(work: () => T): T {
    try {
      const result = work()
      // A revocation in another file than the path names would be gone with this process, or was never seen by it.
      this.file.assertInPlace()
      return result
    } catch (cause) {
      if (cause instanceof FileReplaced)
        throw new SessionError('backend-unreachable', 'session store failed (its file was replaced)', {
          cause,
        })
      const failed = isSqliteError(cause)
      if (!failed && this.db.open) throw cause
      const code = failed ? cause.code : 'closed'
      throw new SessionError('backend-unreachable', `session store failed (${code})`, { cause })
    }
  }

  private seconds(): number {
    return Math.floor(this.now().getTime() / 1000)
  }
}

function sha256(text: string): string {
  return hash('sha256', text, 'hex')
}

function newWallet(): Wallet {
  return `0x${randomBytes(20).toString('hex')}` as Wallet
}

/** The file is not believed either. */
function walletOf(row: { wallet: string } | undefined): Wallet {
  const wallet = parseWallet(row?.wallet)
  if (!wallet)
    throw new SessionError(
      'backend-unreachable',
      'session store holds a wallet that is not 0x and 40 hex digits',
    )
  return wallet
}

/** Otherwise a read-only child would make itself a child that writes. */
function assertNarrower(scope: Scope, parent: Row): void {
  if (parent.scope === null) return
  const limit = JSON.parse(parent.scope) as Scope
  if (limit.readOnly && !scope.readOnly)
    throw new SessionRefusal('denied', 'scope.read_only: the parent is read-only')
  if (!scope.services.every((service) => limit.services.includes(service)))
    throw new SessionRefusal('denied', 'scope.services: not all are in the scope of the parent')
}
