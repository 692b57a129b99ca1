import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import { sessionBackendContract } from '../../test/contract/session-backend.contract.js'
import { until } from '../../test/support/until.js'
import { EmbeddedSessions } from './embedded-sessions.js'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sessions-'))
  cleanup.push(() => rmSync(folder, { recursive: true }))
  return join(folder, 'sessions.sqlite')
}

function opened(path = newPath(), deadlineMs?: number): EmbeddedSessions {
  const sessions = new EmbeddedSessions(path, () => new Date(), deadlineMs)
  cleanup.push(() => sessions.close())
  return sessions
}

sessionBackendContract('the embedded backend in its thread', async () => {
  const sessions = opened()
  const { session: bearer, wallet } = await sessions.create('alice')
  return {
    backend: sessions,
    bearer,
    wallet,
    name: 'embedded',
    revoke: () => void sessions.revoke(bearer, { session: bearer }),
    breakDown: () => sessions.close(),
    dispose: () => Promise.resolve(),
  }
})

test('a file that another program has locked is doubt within the deadline, and holds up nothing else', async () => {
  const path = newPath()
  const sessions = opened(path, 300)
  await until(() => sessions.healthy())
  const holder = new Sqlite(path)
  cleanup.push(() => holder.close())
  holder.exec('BEGIN IMMEDIATE')
  let turns = 0
  const ticking = setInterval(() => (turns += 1), 1)
  await expect(sessions.create('alice')).rejects.toMatchObject({ code: 'backend-unreachable' })
  clearInterval(ticking)
  expect(turns).toBeGreaterThan(10)
  holder.exec('COMMIT')
  await until(() => sessions.healthy())
  let made: { session: string } | undefined
  await until(async () => (made = await sessions.create('alice').catch(() => undefined)) !== undefined)
  expect(await sessions.validate((made as { session: string }).session)).toMatchObject({
    backend: 'embedded',
  })
})

test('a file that is no database is named when it is opened', async () => {
  const path = newPath()
  writeFileSync(path, 'not a database, but long enough to look at: '.repeat(40))
  await expect(opened(path).open()).rejects.toThrow(`${path}: file is not a database: move it away`)
})

test('refusals keep their kind between threads', async () => {
  const sessions = opened()
  const { session } = await sessions.create('alice')
  const other = await sessions.create('bob')
  await expect(sessions.revoke(session, { session: other.session })).rejects.toMatchObject({
    name: 'SessionRefusal',
    code: 'denied',
  })
  await expect(sessions.create('invalid')).rejects.toMatchObject({
    name: 'SessionError',
    code: 'unauthorized',
  })
})
