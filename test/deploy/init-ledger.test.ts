// The set-up of a cluster's users and rights, as a process, against the stand-in for EventStoreDB.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'

import { certificates } from '../support/eventstoredb/certificates.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { ROOT } from './compose-file.js'

const folder = mkdtempSync(join(tmpdir(), 'init-ledger-'))
let secured: ReturnType<typeof certificates>
let standIn: StandIn
beforeAll(() => {
  secured = certificates(folder)
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(async () => {
  standIn = await new StandIn({ users: {}, tls: secured.tls }).start()
})
afterEach(() => standIn.dispose())

const ADMIN = { password: 'secret-of-admin', groups: ['$admins'] }

function start(env: Record<string, string> = {}) {
  const url = `esdb://admin:secret-of-admin@127.0.0.1:${standIn.port}?tlsCAFile=${encodeURIComponent(secured.caFile)}`
  const child = spawn(process.execPath, [join(ROOT, 'dist/tools/deploy/init-ledger.js')], {
    env: {
      LEDGER_ADMIN_URL: url,
      LEDGER_APP_PASSWORD: 'secret-a',
      LEDGER_AUDIT_PASSWORD: 'secret-b',
      ...env,
    },
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  const waiting = new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said.err += chunk.toString()
      resolve()
    })
  })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, ...said }))
  return { waiting, ended }
}

test('the set-up waits until a new database has made its administrator, then sets rights and users', async () => {
  const { waiting, ended } = start()
  await waiting
  standIn.access.users?.set('admin', ADMIN)
  const { code, out, err } = await ended
  expect({ code, out }).toEqual({
    code: 0,
    out: 'default ACL: set\nuser ledger-app: created\nuser ledger-audit: created\n',
  })
  expect(standIn.access.users?.get('ledger-app')?.password).toBe('secret-a')
  expect(standIn.access.users?.get('ledger-audit')?.password).toBe('secret-b')
  expect(err + out).not.toContain('secret-')
})

test('the set-up may run at every start: it changes nothing but the passwords', async () => {
  standIn.access.users?.set('admin', ADMIN)
  await start().ended
  expect(await start().ended).toMatchObject({
    code: 0,
    out: 'default ACL: was set\nuser ledger-app: password set\nuser ledger-audit: password set\n',
  })
  expect(standIn.database.events('$settings')).toHaveLength(1)
})

test('a variable that is missing or malformed is named, and its value is not', async () => {
  const missing = await start({ LEDGER_APP_PASSWORD: '' }).ended
  expect(missing).toMatchObject({ code: 2, err: 'init-ledger: LEDGER_APP_PASSWORD is not set: see --help\n' })
  const malformed = await start({ LEDGER_ADMIN_URL: 'esdb://admin:secret-x@host name' }).ended
  expect(malformed.code).toBe(2)
  expect(malformed.err).not.toContain('secret-x')
})

test('the readers are not given the password of those who append', async () => {
  expect(await start({ LEDGER_AUDIT_PASSWORD: 'secret-a' }).ended).toMatchObject({ code: 2 })
})
