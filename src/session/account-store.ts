// What the embedded session backend keeps for a wallet beside its sessions: encrypted credentials, names, scopes of its
// agents, mail, and what was done with them. docs/developer.md, "The session backend".

import { randomBytes, randomUUID } from 'node:crypto'

import type Sqlite from 'better-sqlite3'

import type { Wallet } from '../domain/wallet.js'
import type { Scope } from '../domain/ledger/child-session.js'
import { SessionRefusal } from './session-scope.js'

export type AccountCall =
  | { op: 'scope'; wallet: Wallet }
  | { op: 'set-scope'; wallet: Wallet; scope: Scope }
  | { op: 'store'; agent: Wallet; service: string; ciphertext: string }
  | { op: 'read'; agent: Wallet; service: string }
  | { op: 'list'; agent: Wallet }
  | { op: 'teardown'; agent: Wallet }
  | { op: 'usage'; owner?: Wallet; agent?: Wallet; service?: string }
  | { op: 'link'; type: 'alias' | 'email'; value: string; wallet: Wallet }
  | { op: 'resolve'; type: 'alias' | 'email'; value: string }
  | { op: 'inbox-provision'; agent: Wallet; domain: string }
  | { op: 'inbox-list'; agent: Wallet }
  | { op: 'inbox-messages'; address: string }

export interface Mail {
  address: string
  from: string
  subject: string
  body: string
}

/** Who asks: the live session's wallet and, for a child, what it is for. */
export interface Caller {
  wallet: Wallet
  scope: Scope | undefined
}

/** The newest are kept: what was done, and mail of one address. */
const MOST_EVENTS = 100_000
const MOST_MESSAGES = 1_000
const MOST_INBOXES = 100

const IS_OWN = `
  SELECT 1 FROM session child JOIN session parent ON parent.token_sha256 = child.parent_sha256
  WHERE child.wallet = @agent AND parent.wallet = @caller LIMIT 1`

/** Runs inside the transaction of session-store.ts. Times are unix seconds. */
export class AccountStore {
  constructor(
    private readonly db: Sqlite.Database,
    private readonly seconds: () => number,
  ) {}

  answer(caller: Caller, call: AccountCall): unknown {
    switch (call.op) {
      case 'scope':
        return this.scope(caller, call.wallet)
      case 'set-scope':
        return this.setScope(caller, call)
      case 'store':
        return this.recorded(caller, call, () => this.storeCredential(caller, call))
      case 'read':
        return this.recorded(caller, call, () => this.readCredential(caller, call))
      case 'list':
        return this.list(caller, call.agent)
      case 'teardown':
        return this.recorded(caller, { ...call, service: '' }, () => this.teardown(caller, call.agent))
      case 'usage':
        return this.usage(caller, call)
      case 'link':
        return this.link(caller, call)
      case 'resolve':
        return this.resolve(call)
      case 'inbox-provision':
        return this.provisionInbox(caller, call)
      case 'inbox-list':
        return this.inboxes(caller, call.agent)
      case 'inbox-messages':
        return this.messages(caller, call.address)
    }
  }

  /** Mail comes from outside, without a session. An address that no inbox has is refused. */
  deliver({ address, from, subject, body }: Mail): string {
    if (!this.ownerOf(address)) throw new SessionRefusal('not-found', 'no such address')
    const id = randomUUID()
    this.run(
      'INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)',
      id,
      address,
      from,
      subject,
      body,
      this.seconds(),
    )
    this.run(
      `DELETE FROM message WHERE address = ? AND id NOT IN
         (SELECT id FROM message WHERE address = ? ORDER BY received_at DESC, rowid DESC LIMIT ${MOST_MESSAGES})`,
      address,
      address,
    )
    return id
  }

  /** For the mail router: whose inbox an address is. */
  inboxOwner(address: string): Wallet | undefined {
    return this.ownerOf(address)
  }

  private scope(caller: Caller, wallet: Wallet): Scope {
    this.assertOwned(caller, wallet)
    const text = this.value<string>(
      'SELECT scope FROM session WHERE wallet = ? AND revoked_at IS NULL LIMIT 1',
      wallet,
    )
    return text ? (JSON.parse(text) as Scope) : { services: [], readOnly: false }
  }

  /** Of an agent's live sessions; a wallet's own sessions have no scope to be set. */
  private setScope(caller: Caller, { wallet, scope }: { wallet: Wallet; scope: Scope }): number {
    if (wallet === caller.wallet) throw new SessionRefusal('denied', 'a wallet cannot change its own scope')
    this.assertOwned(caller, wallet)
    assertWithin(scope, caller.scope)
    const update =
      'UPDATE session SET scope = ? WHERE wallet = ? AND parent_sha256 IS NOT NULL AND revoked_at IS NULL'
    return this.run(update, JSON.stringify(scope), wallet)
  }

  private storeCredential(
    caller: Caller,
    { agent, service, ciphertext }: { agent: Wallet; service: string; ciphertext: string },
  ): void {
    this.assertAllowed(caller, agent, service)
    if (caller.scope?.readOnly) throw new SessionRefusal('denied', 'the session is read-only')
    this.run(
      `INSERT INTO credential VALUES (?, ?, ?, ?)
         ON CONFLICT (wallet, service) DO UPDATE SET ciphertext = excluded.ciphertext, stored_at = excluded.stored_at`,
      agent,
      service,
      ciphertext,
      this.seconds(),
    )
  }

  private readCredential(caller: Caller, { agent, service }: { agent: Wallet; service: string }): string {
    this.assertAllowed(caller, agent, service)
    const find = 'SELECT ciphertext FROM credential WHERE wallet = ? AND service = ?'
    const ciphertext = this.value<string>(find, agent, service)
    if (ciphertext === undefined)
      throw new SessionRefusal('not-found', 'no credential is stored for the service')
    return ciphertext
  }

  private list(caller: Caller, agent: Wallet): string[] {
    this.assertOwned(caller, agent)
    const services = this.values('SELECT service FROM credential WHERE wallet = ? ORDER BY service', agent)
    return services.filter((service) => inScope(caller.scope, service))
  }

  private teardown(caller: Caller, agent: Wallet): void {
    this.assertOwned(caller, agent)
    if (caller.scope) throw new SessionRefusal('denied', 'a session with a scope cannot tear down an agent')
    this.run('DELETE FROM credential WHERE wallet = ?', agent)
    this.run(
      'UPDATE session SET revoked_at = ? WHERE wallet = ? AND revoked_at IS NULL',
      this.seconds(),
      agent,
    )
  }

  private usage(
    caller: Caller,
    { owner, agent, service }: { owner?: Wallet; agent?: Wallet; service?: string },
  ) {
    this.assertOwned(caller, owner ?? caller.wallet)
    if (agent) this.assertOwned(caller, agent)
    return this.db
      .prepare(
        `SELECT owner, agent, service, action, result, at FROM account_event
         WHERE (owner = @caller OR agent = @caller OR agent = @agent)
           AND (@agent IS NULL OR agent = @agent) AND (@service IS NULL OR service = @service)
         ORDER BY id DESC LIMIT 1000`,
      )
      .all({ caller: caller.wallet, agent: agent ?? null, service: service ?? null })
  }

  private link(
    caller: Caller,
    { type, value, wallet }: { type: string; value: string; wallet: Wallet },
  ): void {
    this.assertOwned(caller, wallet)
    const holder = this.value<Wallet>('SELECT wallet FROM identity WHERE type = ? AND value = ?', type, value)
    // A name that is given is not given to another: what was encrypted or granted for it would change hands.
    if (holder !== undefined && holder !== wallet)
      throw new SessionRefusal('denied', 'the name belongs to another wallet')
    this.run('INSERT INTO identity VALUES (?, ?, ?) ON CONFLICT DO NOTHING', type, value, wallet)
  }

  private resolve({ type, value }: { type: string; value: string }): Wallet {
    const wallet = this.value<Wallet>('SELECT wallet FROM identity WHERE type = ? AND value = ?', type, value)
    if (wallet === undefined) throw new SessionRefusal('not-found', 'no wallet has that name')
    return wallet
  }

  private provisionInbox(caller: Caller, { agent, domain }: { agent: Wallet; domain: string }): string {
    this.assertOwned(caller, agent)
    if (this.inboxes(caller, agent).length >= MOST_INBOXES)
      throw new SessionRefusal('denied', `a wallet may have ${MOST_INBOXES} inboxes`)
    const address = `bot-${randomBytes(8).toString('hex')}@${domain}`
    this.run('INSERT INTO inbox VALUES (?, ?, ?)', address, agent, this.seconds())
    return address
  }

  private inboxes(caller: Caller, agent: Wallet): string[] {
    this.assertOwned(caller, agent)
    return this.values('SELECT address FROM inbox WHERE wallet = ? ORDER BY created_at, address', agent)
  }

  private messages(caller: Caller, address: string): unknown[] {
    const owner = this.ownerOf(address)
    if (!owner) throw new SessionRefusal('not-found', 'no such address')
    this.assertOwned(caller, owner)
    return this.db
      .prepare(
        'SELECT id, sender, subject, body, received_at FROM message WHERE address = ? ORDER BY received_at DESC, rowid DESC',
      )
      .all(address)
  }

  private ownerOf(address: string): Wallet | undefined {
    return this.value<Wallet>('SELECT wallet FROM inbox WHERE address = ?', address)
  }

  private assertAllowed(caller: Caller, agent: Wallet, service: string): void {
    this.assertOwned(caller, agent)
    if (!inScope(caller.scope, service))
      throw new SessionRefusal('denied', 'the service is not in the scope of the session')
  }

  /** One's own wallet, and the agents that sessions of it made. */
  private assertOwned(caller: Caller, wallet: Wallet): void {
    if (wallet === caller.wallet) return
    const owned = this.db.prepare(IS_OWN).get({ agent: wallet, caller: caller.wallet })
    if (!owned) throw new SessionRefusal('denied', 'the wallet is neither yours nor an agent of yours')
  }

  /** The outcome is an event either way. A refusal is thrown on after it: the caller of answer() keeps the event. */
  private recorded<T>(
    { wallet }: Caller,
    { op, agent, service }: { op: string; agent: Wallet; service: string },
    work: () => T,
  ): T | SessionRefusal {
    const insert =
      'INSERT INTO account_event (owner, agent, service, action, result, at) VALUES (?, ?, ?, ?, ?, ?)'
    const note = (result: string) => {
      this.run(insert, wallet, agent, service, op, result, this.seconds())
      this.run('DELETE FROM account_event WHERE id <= (SELECT max(id) FROM account_event) - ?', MOST_EVENTS)
    }
    try {
      const result = work()
      note('allowed')
      return result
    } catch (error) {
      if (!(error instanceof SessionRefusal)) throw error
      note(error.code)
      // Returned, not thrown: an exception would roll the event back with the transaction.
      return error
    }
  }

  private run(sql: string, ...values: unknown[]): number {
    return this.db.prepare(sql).run(...values).changes
  }

  private value<T>(sql: string, ...values: unknown[]): T | undefined {
    return this.db
      .prepare(sql)
      .pluck()
      .get(...values) as T | undefined
  }

  private values(sql: string, ...values: unknown[]): string[] {
    return this.db
      .prepare(sql)
      .pluck()
      .all(...values) as string[]
  }
}

function inScope(scope: Scope | undefined, service: string): boolean {
  return scope === undefined || scope.services.includes(service)
}

function assertWithin(scope: Scope, limit: Scope | undefined): void {
  if (!limit) return
  if (limit.readOnly && !scope.readOnly)
    throw new SessionRefusal('denied', 'scope.read_only: you are read-only')
  if (!scope.services.every((service) => limit.services.includes(service)))
    throw new SessionRefusal('denied', 'scope.services: not all are in your own scope')
}
