// The set-up of a cluster's users and rights, with the command that compose gives it, against the stand-in.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'

import { certificates } from '../support/eventstoredb/certificates.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { ROOT, service } from './compose-file.js'

const folder = mkdtempSync(join(tmpdir(), 'ledger-setup-'))
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

const PASSWORDS = { 'app-password': 'secret-of-app', 'audit-password': 'secret-of-audit' }

/** With the files that compose mounts, in our folder. */
function start({ passwords = PASSWORDS, url = '' } = {}) {
  for (const [name, password] of Object.entries(passwords))
    writeFileSync(join(folder, name), `${password}\n`, { mode: 0o600 })
  const { command = [] } = service('docker-compose.cluster.yml', 'ledger-setup')
  const args = command.map((word) => word.replace('/run/ledger-setup', folder))
  const admin = `esdb://admin:secret-of-admin@127.0.0.1:${standIn.port}?tlsCAFile=${encodeURIComponent(secured.caFile)}`
  const child = spawn(process.execPath, [join(ROOT, 'dist/src/main.js'), ...args], {
    env: { BROKER_LEDGER_ADMIN_URL: url || admin },
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  const waiting = new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said.err += chunk.toString()
      if (said.err.includes('waiting for')) resolve()
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
  expect(standIn.access.users?.get('ledger-app')?.password).toBe('secret-of-app')
  expect(standIn.access.users?.get('ledger-audit')?.password).toBe('secret-of-audit')
  expect(err + out).not.toContain('secret-')
})

test('the set-up may run at every start: it changes nothing but the passwords', async () => {
  standIn.access.users?.set('admin', ADMIN)
  await start().ended
  expect(await start().ended).toMatchObject({
    code: 0,
    out: 'default ACL: already there\nuser ledger-app: already there\nuser ledger-audit: already there\n',
  })
  expect(standIn.database.events('$settings')).toHaveLength(1)
})

test('a URL that is malformed is refused, and not repeated', async () => {
  const malformed = await start({ url: 'esdb://admin:secret-x@host name' }).ended
  expect(malformed).toMatchObject({
    code: 2,
    err: expect.stringContaining('init-eventstore: the ledger URL'),
  })
  expect(malformed.err).not.toContain('secret-x')
})

test('the readers are not given the password of those who append', async () => {
  const same = { 'app-password': 'secret-of-all', 'audit-password': 'secret-of-all' }
  const { code, err } = await start({ passwords: same }).ended
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('the same password') })
})
