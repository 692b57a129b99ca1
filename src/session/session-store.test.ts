import { hash } from 'node:crypto'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { sessionBackendContract } from '../../test/contract/session-backend.contract.js'
import { parseWallet, type Wallet } from '../domain/wallet.js'
import { SESSION_TTL_SECONDS, SessionStore } from './session-store.js'

const START = new Date('2030-01-01T00:00:00.000Z')
const ALL = { services: ['mail', 'git'], readOnly: false }

const open: SessionStore[] = []
const folders: string[] = []
afterEach(async () => {
  for (const sessions of open.splice(0)) await sessions.close()
  for (const path of folders.splice(0)) rmSync(path, { recursive: true })
})

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sessions-'))
  folders.push(folder)
  return join(folder, 'sessions.sqlite')
}

/** A clock that stands until it is moved. */
function clockAt(start: Date) {
  let time = start.getTime()
  return { now: () => new Date(time), forward: (seconds: number) => void (time += seconds * 1000) }
}

function fresh(path = newPath(), clock = clockAt(START)) {
  const sessions = new SessionStore(path, clock.now)
  open.push(sessions)
  return { sessions, path, clock }
}

const unauthorized = (message: string) =>
  expect.objectContaining({ code: 'unauthorized', message }) as unknown as Error
const refused = (code: string) =>
  expect.objectContaining({ name: 'SessionRefusal', code }) as unknown as Error
const noWallet = `0x${'0'.repeat(40)}` as Wallet

sessionBackendContract('the embedded backend', () => {
  const { sessions } = fresh()
  const { session: bearer, wallet } = sessions.create('alice')
  return Promise.resolve({
    backend: sessions,
    bearer,
    wallet,
    name: 'embedded',
    revoke: () => void sessions.revoke(bearer, { session: bearer }),
    breakDown: () => sessions.close(),
    dispose: () => sessions.close(),
  })
})

describe('creating a session', () => {
  test('gives a token of 32 bytes and a wallet', () => {
    const { session, wallet } = fresh().sessions.create('alice')
    expect(session).toMatch(/^[0-9a-f]{64}$/)
    expect(parseWallet(wallet)).toBe(wallet)
  })

  test('twice with one auth token gives one wallet and two sessions, both good', async () => {
    const { sessions } = fresh()
    const [first, second] = [sessions.create('alice'), sessions.create('alice')]
    expect(second.wallet).toBe(first.wallet)
    expect(second.session).not.toBe(first.session)
    for (const { session } of [first, second])
      expect(await sessions.validate(session)).toEqual({ wallet: first.wallet, backend: 'embedded' })
  })

  test('with another auth token gives another wallet, however alike they look', () => {
    const { sessions } = fresh()
    const tokens = ['alice', 'Alice', 'alice ', ' alice', 'alicé', 'alice\u0301', 'ａlice', 'invalid ']
    expect(new Set(tokens.map((token) => sessions.create(token).wallet)).size).toBe(tokens.length)
  })

  test.each([[''], ['invalid'], ['\ud800']])('with the auth token %j is refused', (token) => {
    const { sessions } = fresh()
    expect(() => sessions.create(token)).toThrow(unauthorized('auth token not valid'))
  })
})

describe('time', () => {
  test('a session is good through its last second and not after it', async () => {
    const { sessions, clock } = fresh()
    const { session, wallet } = sessions.create('alice')
    clock.forward(SESSION_TTL_SECONDS)
    expect(await sessions.validate(session)).toMatchObject({ wallet })
    clock.forward(1)
    await expect(sessions.validate(session)).rejects.toEqual(unauthorized('session expired'))
  })

  test('an expired session creates no child and revokes nothing', () => {
    const { sessions, clock } = fresh()
    const { session, wallet } = sessions.create('alice')
    clock.forward(SESSION_TTL_SECONDS + 1)
    expect(() => sessions.child(session, ALL)).toThrow(unauthorized('session expired'))
    expect(() => sessions.revoke(session, { wallet })).toThrow(unauthorized('session expired'))
  })

  test('a child made late expires with its parent', async () => {
    const { sessions, clock } = fresh()
    const parent = sessions.create('alice')
    clock.forward(SESSION_TTL_SECONDS - 10)
    const child = sessions.child(parent.session, ALL)
    clock.forward(10)
    expect(await sessions.validate(child.session)).toMatchObject({ wallet: child.wallet })
    clock.forward(1)
    await expect(sessions.validate(child.session)).rejects.toEqual(unauthorized('session expired'))
  })
})

describe('a child', () => {
  test('has a wallet of its own', async () => {
    const { sessions } = fresh()
    const parent = sessions.create('alice')
    const [one, two] = [sessions.child(parent.session, ALL), sessions.child(parent.session, ALL)]
    expect(new Set([parent.wallet, one.wallet, two.wallet]).size).toBe(3)
    expect(await sessions.validate(one.session)).toMatchObject({ wallet: one.wallet, backend: 'embedded' })
  })

  test('comes with its scope and with all sessions above it, nearest first', async () => {
    const { sessions } = fresh()
    const parent = sessions.create('alice')
    const child = sessions.child(parent.session, ALL)
    const scope = { services: ['mail'], readOnly: true }
    const grandchild = sessions.child(child.session, scope)
    const parents = [child, parent].map(({ wallet, session }) => ({
      ...{ wallet, tokenSha256: hash('sha256', session) },
    }))
    expect(await sessions.validate(grandchild.session)).toEqual({
      ...{ wallet: grandchild.wallet, backend: 'embedded', child: { ...scope, parents } },
    })
  })

  test('can be made eight levels below a session, and no deeper', async () => {
    const { sessions } = fresh()
    let { session } = sessions.create('alice')
    for (let level = 1; level <= 8; level += 1) session = sessions.child(session, ALL).session
    expect((await sessions.validate(session)).child?.parents).toHaveLength(8)
    expect(() => sessions.child(session, ALL)).toThrow(refused('denied'))
  })

  test('does not survive its parent, nor does its own child', async () => {
    const { sessions } = fresh()
    const parent = sessions.create('alice')
    const child = sessions.child(parent.session, ALL)
    const grandchild = sessions.child(child.session, ALL)
    const other = sessions.create('alice')
    expect(sessions.revoke(other.session, { session: parent.session })).toBe(3)
    for (const { session } of [parent, child, grandchild])
      await expect(sessions.validate(session)).rejects.toEqual(unauthorized('session revoked'))
    expect(await sessions.validate(other.session)).toMatchObject({ wallet: parent.wallet })
  })

  test('cannot be made by who has no session', () => {
    const { sessions } = fresh()
    expect(() => sessions.child('0'.repeat(64), ALL)).toThrow(unauthorized('session not found'))
  })

  test('may narrow its scope for its own child and never widen it', () => {
    const { sessions } = fresh()
    const { session } = sessions.child(sessions.create('alice').session, {
      services: ['mail'],
      readOnly: true,
    })
    expect(sessions.child(session, { services: [], readOnly: true }).session).toMatch(/^[0-9a-f]{64}$/)
    expect(() => sessions.child(session, { services: ['mail', 'git'], readOnly: true })).toThrow(
      refused('denied'),
    )
    expect(() => sessions.child(session, { services: ['mail'], readOnly: false })).toThrow(refused('denied'))
  })
})

describe('revoking', () => {
  test('one session leaves the others of the wallet', async () => {
    const { sessions } = fresh()
    const [one, two] = [sessions.create('alice'), sessions.create('alice')]
    expect(sessions.revoke(one.session, { session: two.session })).toBe(1)
    await expect(sessions.validate(two.session)).rejects.toEqual(unauthorized('session revoked'))
    expect(await sessions.validate(one.session)).toMatchObject({ wallet: one.wallet })
  })

  test('a wallet ends all its sessions and their children', async () => {
    const { sessions } = fresh()
    const [one, two] = [sessions.create('alice'), sessions.create('alice')]
    const child = sessions.child(two.session, ALL)
    expect(sessions.revoke(one.session, { wallet: one.wallet })).toBe(3)
    for (const { session } of [one, two, child])
      await expect(sessions.validate(session)).rejects.toEqual(unauthorized('session revoked'))
  })

  test('a wallet again after that is possible with a new session, and counts only that', () => {
    const { sessions } = fresh()
    const one = sessions.create('alice')
    sessions.revoke(one.session, { wallet: one.wallet })
    const two = sessions.create('alice')
    expect(two.wallet).toBe(one.wallet)
    expect(sessions.revoke(two.session, { wallet: one.wallet })).toBe(1)
  })

  test('a child by its session or its wallet is for any session of the parent wallet', async () => {
    const { sessions } = fresh()
    const [parent, sibling] = [sessions.create('alice'), sessions.create('alice')]
    const [one, two] = [sessions.child(parent.session, ALL), sessions.child(parent.session, ALL)]
    expect(sessions.revoke(sibling.session, { wallet: one.wallet })).toBe(1)
    expect(sessions.revoke(sibling.session, { session: two.session })).toBe(1)
    for (const { session } of [one, two])
      await expect(sessions.validate(session)).rejects.toEqual(unauthorized('session revoked'))
  })

  test('what is already revoked changes nothing and is no error', () => {
    const { sessions } = fresh()
    const [one, two] = [sessions.create('alice'), sessions.create('alice')]
    expect(sessions.revoke(one.session, { session: two.session })).toBe(1)
    expect(sessions.revoke(one.session, { session: two.session })).toBe(0)
  })

  test('is denied to a stranger, to a child for its parent, to a sibling, and beyond one level', async () => {
    const { sessions } = fresh()
    const [alice, bob] = [sessions.create('alice'), sessions.create('bob')]
    const [child, sibling] = [sessions.child(alice.session, ALL), sessions.child(alice.session, ALL)]
    const grandchild = sessions.child(child.session, ALL)
    const attempts = [
      [bob, alice],
      [bob, child],
      [child, alice],
      [sibling, child],
      [alice, grandchild],
    ] as const
    for (const [caller, victim] of attempts) {
      expect(() => sessions.revoke(caller.session, { session: victim.session })).toThrow(refused('denied'))
      expect(() => sessions.revoke(caller.session, { wallet: victim.wallet })).toThrow(refused('denied'))
    }
    for (const { session, wallet } of [alice, bob, child, sibling, grandchild])
      expect(await sessions.validate(session)).toMatchObject({ wallet })
  })

  test('what is not there is not found', () => {
    const { sessions } = fresh()
    const { session } = sessions.create('alice')
    expect(() => sessions.revoke(session, { session: '0'.repeat(64) })).toThrow(refused('not-found'))
    expect(() => sessions.revoke(session, { wallet: noWallet })).toThrow(refused('not-found'))
  })

  test('with a revoked session is unauthorized, even for itself', () => {
    const { sessions } = fresh()
    const { session } = sessions.create('alice')
    sessions.revoke(session, { session })
    expect(() => sessions.revoke(session, { session })).toThrow(unauthorized('session revoked'))
  })
})

describe('the file', () => {
  test('keeps sessions, wallets, children and revocations over a restart', async () => {
    const { sessions, path, clock } = fresh()
    const [kept, gone] = [sessions.create('alice'), sessions.create('bob')]
    const child = sessions.child(kept.session, ALL)
    sessions.revoke(gone.session, { session: gone.session })
    await sessions.close()

    const again = fresh(path, clock).sessions
    expect(await again.validate(kept.session)).toMatchObject({ wallet: kept.wallet })
    expect(await again.validate(child.session)).toMatchObject({ wallet: child.wallet })
    await expect(again.validate(gone.session)).rejects.toEqual(unauthorized('session revoked'))
    expect(again.create('alice').wallet).toBe(kept.wallet)
    expect(again.revoke(kept.session, { wallet: child.wallet })).toBe(1)
  })

  test('holds no token and no auth token', () => {
    const { sessions, path } = fresh()
    const secret = 'a-canary-that-must-not-be-stored'
    const { session } = sessions.create(secret)
    const child = sessions.child(session, ALL)
    const folder = join(path, '..')
    const bytes = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
    expect(bytes.join('')).toContain(child.wallet)
    for (const text of [secret, session, child.session]) expect(bytes.join('')).not.toContain(text)
  })

  test('is private to its owner with all that SQLite puts beside it, even where it was not before', () => {
    const path = newPath()
    writeFileSync(path, '')
    chmodSync(path, 0o666)
    fresh(path).sessions.create('alice')
    const folder = join(path, '..')
    const modes = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o777])
    expect(Object.fromEntries(modes)).toEqual({
      'sessions.sqlite': 0o600,
      'sessions.sqlite-wal': 0o600,
      'sessions.sqlite-shm': 0o600,
    })
  })

  test('is shared by two brokers of one machine: a revocation by one is seen by the other', async () => {
    const { sessions, path, clock } = fresh()
    const other = fresh(path, clock).sessions
    const { session, wallet } = sessions.create('alice')
    expect(await other.validate(session)).toMatchObject({ wallet })
    other.revoke(session, { session })
    await expect(sessions.validate(session)).rejects.toEqual(unauthorized('session revoked'))
  })

  test('that was moved away gives no answer that counts', async () => {
    const { sessions, path } = fresh()
    const { session } = sessions.create('alice')
    renameSync(path, `${path}.moved`)
    const refusal = 'session store failed (its file was replaced)'
    await expect(sessions.validate(session)).rejects.toThrow(refusal)
    expect(() => sessions.revoke(session, { session })).toThrow(refusal)
    expect(await sessions.healthy()).toBe(false)
  })

  test('loses sessions that expired more than a day ago, with their children, and no wallet', async () => {
    const { sessions, path, clock } = fresh()
    const old = sessions.create('alice')
    sessions.child(old.session, ALL)
    clock.forward(86_400)
    const recent = sessions.create('bob')
    clock.forward(SESSION_TTL_SECONDS + 1)
    sessions.deleteExpired()
    const rows = () => {
      const db = new Sqlite(path, { readonly: true })
      const count = db.prepare('SELECT count(*) FROM session').pluck().get()
      db.close()
      return count
    }
    expect(rows()).toBe(1)
    await expect(sessions.validate(recent.session)).rejects.toEqual(unauthorized('session expired'))
    expect(sessions.create('alice').wallet).toBe(old.wallet)
  })

  test('that is no database is refused and left as it is', () => {
    const path = newPath()
    const text = 'not a database, but long enough to look at: '.repeat(40)
    writeFileSync(path, text)
    expect(() => new SessionStore(path, () => START)).toThrow('file is not a database')
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  test('of version 1, which had sessions alone, keeps them and gets the rest', () => {
    const { sessions, path } = fresh()
    const { session, wallet } = sessions.create('alice')
    void sessions.close()
    const db = new Sqlite(path)
    for (const table of ['credential', 'identity', 'account_event', 'message', 'inbox'])
      db.exec(`DROP TABLE ${table}`)
    db.pragma('user_version = 1')
    db.close()
    const again = new SessionStore(path, () => START)
    const agent = parseWallet(wallet) as Wallet
    again.account(session, { op: 'store', agent, service: 'x', ciphertext: 'AAAA' })
    expect(again.account(session, { op: 'list', agent })).toEqual(['x'])
    void again.close()
  })

  test('of a newer program is refused', () => {
    const path = newPath()
    const db = new Sqlite(path)
    db.pragma('user_version = 3')
    db.close()
    expect(() => new SessionStore(path, () => START)).toThrow('has the format 3, and this program knows 2')
  })

  test.each([['0xABC'], [`0x${'A'.repeat(39)}\n`]])(
    'that was made to hold the wallet %j lets no one in',
    async (wallet) => {
      const { sessions, path } = fresh()
      const { session } = sessions.create('alice')
      const db = new Sqlite(path)
      db.pragma('foreign_keys = OFF')
      db.prepare('UPDATE session SET wallet = ?').run(wallet)
      db.close()
      await expect(sessions.validate(session)).rejects.toMatchObject({
        code: 'backend-unreachable',
        message: 'session store holds a wallet that is not 0x and 40 hex digits',
      })
    },
  )

  test('that lost its table is doubt, not an answer', async () => {
    const { sessions, path } = fresh()
    const { session } = sessions.create('alice')
    const db = new Sqlite(path)
    db.exec('DROP TABLE session')
    db.close()
    await expect(sessions.validate(session)).rejects.toMatchObject({
      code: 'backend-unreachable',
      message: 'session store failed (SQLITE_ERROR)',
    })
    expect(() => sessions.child(session, ALL)).toThrow('session store failed (SQLITE_ERROR)')
    expect(await sessions.healthy()).toBe(false)
  })
})
