import { chmodSync, copyFileSync, existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterEach, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { entriesFrom, eventStoreContract } from '../../test/contract/event-store.contract.js'
import { SqliteEventStore } from './sqlite.js'

const folders: string[] = []
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ledger-'))
  folders.push(path)
  return path
}
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true })
})

eventStoreContract('sqlite', () => {
  const path = join(folder(), 'ledger.sqlite')
  return Promise.resolve({
    open: () => Promise.resolve(new SqliteEventStore(path)),
    dispose: () => Promise.resolve(),
  })
})

test('the file refuses every way to change, drop, replace or skip an entry', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  await store.append(entriesFrom(undefined, 3), 0)
  await store.close()

  const db = new Sqlite(path)
  const refused = [
    "UPDATE ledger SET entry = '{}' WHERE idx = 1",
    'UPDATE ledger SET idx = 9 WHERE idx = 2',
    'DELETE FROM ledger WHERE idx = 2',
    "INSERT OR REPLACE INTO ledger VALUES (1, '{}')",
    "INSERT INTO ledger VALUES (7, '{}')",
    "INSERT INTO ledger VALUES (-1, '{}')",
  ]
  for (const sql of refused) expect(() => db.exec(sql)).toThrow(/append-only|only the next/)
  expect(db.prepare('SELECT count(*) AS n FROM ledger').get()).toEqual({ n: 3 })
  db.close()
})

test('the file is private to its owner', async () => {
  const path = join(folder(), 'new', 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  await store.append(entriesFrom(undefined, 1), 0)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await store.close()
})

test('a file that is no database is refused, not overwritten', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const { writeFileSync, readFileSync } = await import('node:fs')
  writeFileSync(path, 'not a database, but long enough to look at: '.repeat(40))
  const store = new SqliteEventStore(path)
  await expect(store.size()).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringMatching(
      /ledger.sqlite: file is not a database: restore it from its newest backup/,
    ) as unknown,
  })
  expect(readFileSync(path, 'utf8')).toMatch(/^not a database/)
  await store.close()
})

test('a row that was cut out of the middle is named', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  await store.append(entriesFrom(undefined, 4), 0)
  const db = new Sqlite(path)
  db.exec('DROP TRIGGER ledger_no_delete; DELETE FROM ledger WHERE idx = 1')
  db.close()
  await expect(store.read(0, 10)).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringMatching(
      /ledger.sqlite: entry 1 is missing: restore it from its newest backup/,
    ) as unknown,
    damage: true,
  })
  await store.close()
})

test('nothing is appended behind rows that were deleted under the open file, triggers and all', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  const entries = entriesFrom(undefined, 6)
  await store.append(entries.slice(0, 5), 0)
  const db = new Sqlite(path)
  db.exec(`
    DROP TRIGGER ledger_no_delete;
    DROP TRIGGER ledger_only_next;
    DROP TRIGGER signed_heads_only_last;
    DELETE FROM ledger WHERE idx > 2`)
  db.close()
  await expect(store.append(entries.slice(5), 5)).rejects.toMatchObject({ code: 'conflict' })
  expect(await store.size()).toBe(3)
  await store.close()
})

test('triggers that were dropped or replaced are made again and reported, those of a new file are not', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const first: string[] = []
  const store = new SqliteEventStore(path, (warning) => first.push(warning))
  await store.append(entriesFrom(undefined, 2), 0)
  await store.close()
  expect(first).toEqual([])

  const db = new Sqlite(path)
  db.exec(`
    DROP TRIGGER ledger_no_delete;
    DROP TRIGGER ledger_no_update;
    CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger WHEN NEW.idx <> 1
      BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END`)
  db.close()
  const second: string[] = []
  const again = new SqliteEventStore(path, (warning) => second.push(warning))
  expect(await again.size()).toBe(2)
  await again.close()
  expect(second).toEqual([
    expect.stringMatching(/had lost ledger_no_update, ledger_no_delete.*verify-ledger/),
  ])
  const check = new Sqlite(path)
  expect(() => check.exec("UPDATE ledger SET entry = '{}' WHERE idx = 1")).toThrow('append-only')
  check.close()
})

test('a writer that holds the file makes an append unavailable, and nothing is written', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  await store.append(entriesFrom(undefined, 1), 0)
  const holder = new Sqlite(path)
  holder.exec('BEGIN IMMEDIATE')
  const next = entriesFrom(undefined, 2).slice(1)
  await expect(store.append(next, 1)).rejects.toMatchObject({ code: 'unavailable' })
  holder.exec('COMMIT')
  holder.close()
  await store.append(next, 1)
  expect(await store.size()).toBe(2)
  await store.close()
})

test('a ledger that is not there is empty, and to look at it makes no file', async () => {
  const path = join(folder(), 'new', 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  expect(await store.size()).toBe(0)
  expect(await store.read(0, 10)).toEqual([])
  expect(existsSync(dirname(path))).toBe(false)
  await store.close()
})

describe('a file that its path no longer names', () => {
  const removed = (path: string) => rmSync(path)
  const moved = (path: string) => renameSync(path, `${path}.moved`)
  const replaced = (path: string) => {
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
  }
  test.each(
    [removed, moved, replaced].flatMap((change) =>
      ['', '-wal', '-shm'].map((suffix) => ({ change, suffix })),
    ),
  )('$change.name: ledger.sqlite$suffix: no append to it counts', async ({ change, suffix }) => {
    const path = join(folder(), 'ledger.sqlite')
    const store = new SqliteEventStore(path)
    const entries = entriesFrom(undefined, 3)
    await store.append(entries.slice(0, 1), 0)
    change(path + suffix)
    const lost = {
      code: 'refused',
      damage: true,
      message: expect.stringContaining(`${path}${suffix} was removed`),
    }
    await expect(store.append(entries.slice(1, 2), 1)).rejects.toMatchObject(lost)
    await expect(store.size()).rejects.toMatchObject(lost)
    await expect(store.append(entries.slice(2), 2)).rejects.toMatchObject(lost)
    await store.close()
  })
})

test('the WAL of a ledger that is opened is in the file itself, and empty', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const entries = entriesFrom(undefined, 30)
  const first = new SqliteEventStore(path)
  await first.append(entries, 0)
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(0)
  const second = new SqliteEventStore(path)
  expect(await second.size()).toBe(30)
  expect(statSync(`${path}-wal`).size).toBe(0)
  await first.append(entriesFrom(entries.at(-1), 1), 30)
  expect(await second.size()).toBe(31)
  await first.close()
  await second.close()
})

test('what was asked before close is answered', async () => {
  const path = join(folder(), 'ledger.sqlite')
  const store = new SqliteEventStore(path)
  const appended = store.append(entriesFrom(undefined, 3), 0)
  await store.close()
  await appended
  await expect(store.size()).rejects.toMatchObject({ code: 'unavailable' })
  chmodSync(path, 0o600)
})
