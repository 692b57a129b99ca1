import { readFileSync, statSync, writeFileSync } from 'node:fs'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { entriesOf, memoryOf, Projecting } from '../../test/support/projecting.js'

let projecting: Projecting
beforeEach(() => {
  projecting = new Projecting()
})
afterEach(() => projecting.end())

describe('the read-model file', () => {
  test('is readable for its owner alone, like its -wal', async () => {
    const { projector } = projecting.over(await memoryOf(entriesOf(10)))
    await projector.start()
    await projector.caughtUpTo(10)
    const modes = ['', '-wal', '-shm'].map((suffix) => statSync(projecting.path() + suffix).mode & 0o777)
    expect(modes).toEqual([0o600, 0o600, 0o600])
  })

  test('of another version is rebuilt from entry 0', async () => {
    const store = await memoryOf(entriesOf(500))
    const expected = await projecting.replayed(store, 'audit')
    const old = new Sqlite(projecting.path())
    old.exec('DROP TABLE mints; CREATE TABLE mints (old TEXT); UPDATE position SET size = 400')
    old.pragma('user_version = 999')
    old.close()
    expect(await projecting.replayed(store, 'audit')).toEqual(expected)
  })

  test("that is somebody else's database is refused and left as it is: the original broker's, by its default path", async () => {
    const original = new Sqlite(projecting.path())
    original.exec(
      "CREATE TABLE mint_log (id INTEGER PRIMARY KEY, outcome TEXT); INSERT INTO mint_log VALUES (1, 'ok')",
    )
    original.close()
    const before = readFileSync(projecting.path())
    await expect(projecting.over(await memoryOf(entriesOf(10))).projector.start()).rejects.toMatchObject({
      name: 'ReadModelError',
      code: 'refused',
      message: expect.stringContaining("is not this broker's read model"),
    })
    expect(readFileSync(projecting.path()).equals(before)).toBe(true)
  })

  test('that is no database is refused with the remedy', async () => {
    writeFileSync(projecting.path(), 'minutes of the meeting\n'.repeat(100))
    await expect(projecting.over(await memoryOf(entriesOf(10))).projector.start()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('once moved away it is rebuilt from the ledger'),
    })
  })

  test('whose making was cut short by a crash is made again', async () => {
    const store = await memoryOf(entriesOf(50))
    const half = new Sqlite(projecting.path())
    half.pragma(`application_id = ${0x41674b52}`)
    half.close()
    expect(await projecting.replayed(store, 'audit')).toEqual(await projecting.replayed(store))
  })
})
