import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'
import Database from 'better-sqlite3'

import type { Row } from '../../../src/domain/ledger/verify.js'
import { LedgerBuilder, ledgerOf, writeSqlite } from '../../../test/support/ledger-builder.js'

import type { Batch } from './source.js'
import { SqliteSource } from './sqlite.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
  path = join(folder, 'ledger.sqlite')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function batchesOf(source: SqliteSource): Promise<Batch[]> {
  const batches: Batch[] = []
  for await (const batch of source.batches()) batches.push(batch)
  await source.close()
  return batches
}

const rowsOf = async (): Promise<Row[]> =>
  (await batchesOf(new SqliteSource(path))).flatMap(({ rows }) => rows)

/** A file with the columns of a ledger and no rule: what someone with write access can make of it. */
function writeLoosely(rows: [idx: number, entry: unknown][]): void {
  const database = new Database(path)
  database.exec('CREATE TABLE ledger (idx INTEGER PRIMARY KEY, entry)')
  const insert = database.prepare('INSERT INTO ledger VALUES (?, ?)')
  for (const row of rows) insert.run(...row)
  database.close()
}

test('gives every text in order, in batches', async () => {
  const entries = [...ledgerOf(2_500)].flat()
  writeSqlite(path, [entries])
  expect(await rowsOf()).toEqual(entries.map(({ text }) => text))
})

test('an empty ledger has no rows', async () => {
  writeSqlite(path, [])
  expect(await rowsOf()).toEqual([])
})

test('reads a file that a broker is writing to, up to what was there when it was opened', async () => {
  const ledger = LedgerBuilder.opened()
  writeSqlite(path, [ledger.drain()])
  const broker = new Database(path)
  const insert = broker.prepare('INSERT INTO ledger VALUES (?, ?)')
  const source = new SqliteSource(path)
  broker.exec('BEGIN IMMEDIATE')
  insert.run(4, ledger.refused().drain()[0]!.text)
  broker.exec('COMMIT')
  expect((await batchesOf(source)).map(({ from, rows }) => [from, rows.length])).toEqual([[0, 4]])
  expect(await rowsOf()).toHaveLength(5)
  broker.close()
})

test('a row that is no text is a finding of its own, and the rest is read', async () => {
  const valid = '{"a":"\ufffd"}'
  writeLoosely([
    [0, 'x'],
    [1, null],
    [2, Buffer.from('x')],
    [3, 7.5],
    [4, valid],
    [5, 'y'.repeat(65_536)],
    [6, 'z'],
  ])
  const database = new Database(path)
  database.exec("INSERT INTO ledger VALUES (7, CAST(x'41ff42' AS TEXT)), (8, CAST(x'eda080' AS TEXT))")
  database.close()
  expect(await rowsOf()).toEqual([
    'x',
    { problem: 'malformed', detail: 'the row holds null, not text' },
    { problem: 'malformed', detail: 'the row holds blob, not text' },
    { problem: 'malformed', detail: 'the row holds real, not text' },
    valid,
    { problem: 'too-large', detail: '65536 bytes' },
    'z',
    { problem: 'malformed', detail: 'the row is not UTF-8' },
    { problem: 'malformed', detail: 'the row is not UTF-8' },
  ])
})

test('a gap between places begins a new batch', async () => {
  writeLoosely([
    [0, 'a'],
    [1, 'b'],
    [5, 'c'],
    [6, 'd'],
    [900, 'e'],
  ])
  expect(await batchesOf(new SqliteSource(path))).toEqual([
    { from: 0, rows: ['a', 'b'] },
    { from: 5, rows: ['c', 'd'] },
    { from: 900, rows: ['e'] },
  ])
})

test('a missing file is an error, and is not made', () => {
  expect(() => new SqliteSource(path)).toThrow(`there is no ledger at ${path}`)
  expect(existsSync(path)).toBe(false)
})

test('a file that is something else is an error', () => {
  writeFileSync(path, 'x'.repeat(4_096))
  expect(() => new SqliteSource(path)).toThrow('cannot be read: file is not a database')
  expect(readFileSync(path, 'utf8')).toBe('x'.repeat(4_096))
})

test.each(['-1', '-9223372036854775808', '9007199254740991', '9223372036854775807'])(
  'a row at place %s, where no entry can be, is a finding, and the others are read',
  async (place) => {
    writeLoosely([[0, 'a']])
    new Database(path).exec(`INSERT INTO ledger VALUES (${place}, 'x')`).close()
    const read: unknown[] = []
    const reading = async (): Promise<void> => {
      for await (const { rows } of new SqliteSource(path).batches()) read.push(...rows)
    }
    await expect(reading()).rejects.toMatchObject({
      finding: { index: 1, kind: 'wrong-index', detail: expect.stringContaining(place) as unknown },
    })
    expect(read).toEqual(['a'])
  },
)

test.each([
  'CREATE TABLE mint_log (id INTEGER PRIMARY KEY)',
  'CREATE TABLE ledger (id INTEGER PRIMARY KEY, entry TEXT)',
  'CREATE TABLE ledger (idx TEXT, entry TEXT)',
  'CREATE TABLE t (idx INTEGER PRIMARY KEY, entry TEXT); CREATE VIEW ledger AS SELECT * FROM t',
])('a database that holds no ledger is an error: %s', (schema) => {
  new Database(path).exec(schema).close()
  expect(() => new SqliteSource(path)).toThrow('holds no ledger')
})
