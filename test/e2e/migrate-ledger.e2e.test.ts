// migrate-ledger and init-eventstore as an operator runs them, against the EventStoreDB stand-in as a process.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { chain, type Sealed } from '../../src/domain/ledger/entry.js'
import type { Stored } from '../../src/event-store/event-store.js'
import { certificates } from '../support/eventstoredb/certificates.js'
import { openStore, readAll, textsOf } from '../support/eventstoredb/ledger.js'
import { StandInProcess } from '../support/eventstoredb/process.js'
import { LedgerBuilder, ledgerOf, writeSqlite } from '../support/ledger-builder.js'
import { runSubcommand, spawnSubcommand, writtenTo } from '../support/subcommand.js'
import { verdictOn } from '../support/verified-ledger.js'

let folder: string
let standIn: StandInProcess
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'migrate-'))
  standIn = await StandInProcess.start()
})
afterEach(async () => {
  await standIn.end()
  rmSync(folder, { recursive: true })
})

const environment = () => ({ HOME: folder, TARGET: standIn.url })
const run = (args: string[], env: Record<string, string> = {}) =>
  runSubcommand(args, { ...environment(), ...env })
const sqliteOf = (entries: Sealed[], name = 'ledger.sqlite') => writtenTo(join(folder, name), entries)

const migrate = (path: string) => ['migrate-ledger', '--from', `sqlite:${path}`, '--to', 'env:TARGET']

async function target(): Promise<Stored[]> {
  const store = openStore(standIn.url)
  const entries = await readAll(store)
  await store.close()
  return entries
}

/** Kills the migration when the target has reached `size` entries. Resolves with how many there are then. */
async function killedAt(path: string, size: number): Promise<number> {
  const store = openStore(standIn.url)
  const child = spawnSubcommand(migrate(path), environment())
  const exited = once(child, 'exit')
  while ((await store.size()) < size) await pause(10)
  child.kill('SIGKILL')
  // It was under way: one that had ended by itself would have left nothing to be gone on with.
  expect(await exited).toEqual([null, 'SIGKILL'])
  const reached = await store.size()
  await store.close()
  return reached
}

test('100,000 entries that were cut off twice arrive byte for byte', async () => {
  const path = join(folder, 'ledger.sqlite')
  writeSqlite(path, ledgerOf(100_000))
  const before = await found(path)
  const first = await killedAt(path, 15_000)
  const second = await killedAt(path, Math.max(55_000, first + 1))
  const { code, err, out } = await run(migrate(path))
  expect({ code, err, out }).toEqual({ code: 0, err: '', out: expect.stringContaining('100000 entries, ') })
  const copied = Number(/ (\d+) of them copied now/.exec(out)?.[1])
  expect(copied).toBeGreaterThan(0)
  // What the killed one had sent may have arrived after we looked.
  expect(copied).toBeLessThanOrEqual(100_000 - second)
  const copy = join(folder, 'copy.sqlite')
  const entries = await target()
  const texts = textsOf(entries)
  writeSqlite(copy, [entries])
  // The same head, so the same hashes all the way; and the bytes themselves.
  expect(await found(copy)).toEqual(before)
  const bytes = (entries: Iterable<string>) => {
    const sum = createHash('sha256')
    for (const text of entries) sum.update(text).update('\n')
    return sum.digest('hex')
  }
  expect(bytes(texts)).toBe(bytes(textsIn(path)))
}, 900_000)

/** What the verifier says of a file: nothing wrong, so many entries, and the hash of the last. */
async function found(path: string) {
  const { ok, findings, size, head } = await verdictOn(path)
  expect({ ok, findings, size }).toEqual({ ok: true, findings: [], size: 100_000 })
  return { size, head }
}

function* textsIn(path: string): Generator<string> {
  const database = new Sqlite(path, { readonly: true })
  yield* database.prepare('SELECT entry FROM ledger ORDER BY idx').pluck().iterate() as Iterable<string>
  database.close()
}

test('a further run finds nothing to do; a target that is another ledger, or a longer one, is refused and left as it is', async () => {
  const ledger = LedgerBuilder.opened()
  while (ledger.entries.length < 30) ledger.refused()
  const entries = ledger.entries.slice(0, 30)
  const whole = await sqliteOf(entries)
  expect((await run(migrate(whole))).out).toContain('30 of them copied now')
  expect((await run(migrate(whole))).out).toContain('0 of them copied now')
  const shorter = await run(migrate(await sqliteOf(entries.slice(0, 20), 'shorter.sqlite')))
  expect(shorter).toMatchObject({ code: 1, err: expect.stringContaining('more than the 20') })
  const other = await run(migrate(await sqliteOf(renamed(entries), 'other.sqlite')))
  expect(other).toMatchObject({ code: 1, err: expect.stringContaining('holds another ledger: its entry') })
  expect(textsOf(await target())).toEqual(textsOf(entries))
})

/** As many entries, and others from the tenth on. */
function renamed(entries: Sealed[]): Sealed[] {
  let last = entries[9]
  const tail = entries.slice(10).map(() => {
    const event = { type: 'BrokerStarted', data: { node: 'other', version: '1', configSha256: 'f' } } as const
    return (last = chain(last, event, new Date('2030-01-01T00:00:00.000Z')))
  })
  return [...entries.slice(0, 10), ...tail]
}

/** A port that no one may listen on. */
const NOWHERE = 'esdb://user:hunter2@127.0.0.1:1?tls=false'

test.each<[string[], number, string, Record<string, string>?]>([
  [
    ['--from', 'sqlite:/nowhere/ledger.sqlite', '--to', 'env:TARGET'],
    2,
    'there is no ledger at /nowhere/ledger.sqlite',
  ],
  [['--from', 'esdb://user:hunter2@127.0.0.1:1', '--to', 'env:TARGET'], 2, 'env:NAME'],
  [['--from', 'env:UNSET', '--to', 'env:TARGET'], 2, 'not set'],
  [['--from', 'sqlite:x'], 2, '--to'],
  [
    ['--from', 'env:TARGET', '--to', 'sqlite:copy'],
    2,
    'BROKER_LEDGER_STREAM',
    { BROKER_LEDGER_STREAM: '$all' },
  ],
  [['--from', 'env:TARGET', '--to', 'sqlite:copy'], 2, 'BROKER_LEDGER_STREAM', { BROKER_LEDGER_STREAM: '' }],
  [['--from', 'env:BAD', '--to', 'env:TARGET'], 2, '--from env:BAD', { BAD: 'esdb://a:hunter2@b?no=1' }],
  [['--from', 'env:BAD', '--to', 'sqlite:copy'], 3, 'cannot be read now', { BAD: NOWHERE }],
])('migrate-ledger %j exits with %i and repeats no URL', async (args, code, words, env = {}) => {
  const { err, ...rest } = await run(['migrate-ledger', ...args], env)
  expect(rest).toEqual({ code, out: '' })
  expect(err).toContain(words)
  expect(err).not.toContain('hunter2')
})

test('init-eventstore takes its passwords from private files, and can be run again', async () => {
  await standIn.end()
  const users = join(folder, 'users.json')
  writeFileSync(users, JSON.stringify({ admin: { password: 'changeit', groups: ['$admins'] } }))
  const { caFile } = certificates(folder)
  const tls = ['--tls-key', join(folder, 'node.key'), '--tls-cert', join(folder, 'node.pem')]
  standIn = await StandInProcess.start('--users', users, ...tls)
  const url = `esdb://admin:changeit@127.0.0.1:${standIn.port}?tlsCAFile=${encodeURIComponent(caFile)}`
  const [app, audit] = [join(folder, 'app'), join(folder, 'audit')]
  writeFileSync(app, 'app-password-0123\n', { mode: 0o600 })
  writeFileSync(audit, 'audit-password-0123\n', { mode: 0o644 })
  const args = ['init-eventstore', '--app-password-file', app, '--audit-password-file', audit]

  expect(await run(args, { BROKER_LEDGER_ADMIN_URL: url })).toMatchObject({
    code: 2,
    err: expect.stringContaining('others can read it'),
  })
  rmSync(audit)
  writeFileSync(audit, 'audit-password-0123\n', { mode: 0o600 })
  const first = await run(args, { BROKER_LEDGER_ADMIN_URL: url })
  expect(first).toMatchObject({
    code: 0,
    out: 'default ACL: set\nuser ledger-app: created\nuser ledger-audit: created\n',
  })
  const again = await run(args, { BROKER_LEDGER_ADMIN_URL: url })
  expect(again.out).toBe(
    'default ACL: already there\nuser ledger-app: already there\nuser ledger-audit: already there\n',
  )
  expect(await run(args)).toMatchObject({ code: 2, err: expect.stringContaining('BROKER_LEDGER_ADMIN_URL') })
})
