// Secret references as a start resolves them; `op` is a program that misbehaves on order.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { runSubcommand } from '../support/subcommand.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const CANARY = 'canaryCanaryCanary0123456789'
const KEY_ID = { DAEMON_ACCESS_KEY_ID: 'AKIA0123456789ABCDEF' }
const ROLE = { ACCOUNT_ID: '123456789012', BROKER_STS_MODE: 'assume-role' }

let folder: string
let PATH: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-'))
  mkdirSync(join(folder, 'bin'))
  PATH = `${join(folder, 'bin')}:${process.env['PATH']}`
})
afterAll(() => rmSync(folder, { recursive: true }))

function op(script: string): void {
  writeFileSync(join(folder, 'bin/op'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

function file(name: string, content: string, mode = 0o600): string {
  writeFileSync(join(folder, name), content, { mode })
  return join(folder, name)
}

const printed = (secret: string, env: Record<string, string> = {}) =>
  runSubcommand(['--print-config'], {
    HOME: folder,
    PATH,
    ...ROLE,
    ...KEY_ID,
    DAEMON_SECRET_ACCESS_KEY: secret,
    ...env,
  })

test.each<[string, number, string]>([
  ["echo '[ERROR] 401: vault is locked, sign in' >&2; exit 1", 78, 'locked or not signed in'],
  ["echo '[ERROR] 429 Too Many Requests' >&2; exit 1", 75, '429'],
  [`echo '[ERROR] "x" isn'"'"'t an item' >&2; exit 1`, 78, 'no such vault'],
  ["trap '' TERM; sleep 100", 75, 'within 10 s'],
  [`echo 'update available'; echo ${CANARY}`, 78, 'line break'],
  [`printf '${CANARY}\\nmore'`, 78, 'line break'],
  [`printf '${CANARY}\\000'`, 78, 'control characters'],
  ['head -c 70000 /dev/zero', 78, 'more than 64 KiB'],
  [`echo ${CANARY} >&2; exit 6`, 78, 'ended with 6'],
])('op that does %j ends the start with %i', async (script, code, words) => {
  op(script)
  const { err, ...rest } = await printed('op://vault/item/field')
  expect(rest).toEqual({ code, out: '' })
  expect(err).toContain(`DAEMON_SECRET_ACCESS_KEY: `)
  expect(err).toContain(words)
  expect(err).not.toContain(CANARY)
})

test('without op, with a file that others may read, or without credentials folder, it says what to do', async () => {
  rmSync(join(folder, 'bin/op'), { force: true })
  expect(await printed('op://v/i/f', { PATH: '/nonexistent' })).toMatchObject({
    ...{ code: 78, err: expect.stringContaining('not on PATH') },
  })
  expect((await printed(`file:${file('loose', CANARY, 0o644)}`)).err).toContain('others can read it')
  expect((await printed(`file:${join(folder, 'none')}`)).err).toContain('there is no file')
  expect((await printed('cred:key')).err).toContain('LoadCredential')
  expect((await printed('cred:../loose', { CREDENTIALS_DIRECTORY: folder })).err).toContain(
    'name of a credential',
  )
})

test('a broker runs on what the references stand for, asks once for each, and shows the value nowhere', async () => {
  op(`echo "$@" >> ${join(folder, 'calls')}; env > ${join(folder, 'env')}; printf ${CANARY}`)
  const secrets = {
    DAEMON_ACCESS_KEY_ID: `file:${file('id', 'AKIA0123456789ABCDEF\n')}`,
    DAEMON_SECRET_ACCESS_KEY: 'op://vault/item/field',
  }
  const env = { ...ROLE, ...secrets, PATH, UNRELATED: 'kept from op' }
  const broker = await BrokerProcess.start({ env, flags: ['--skip-startup-check'] })
  expect(readFileSync(join(folder, 'calls'), 'utf8')).toBe('read --no-newline op://vault/item/field\n')
  expect(readFileSync(join(folder, 'env'), 'utf8')).not.toContain('UNRELATED')
  expect(await broker.stop()).toBe(0)
  expect(broker.log + broker.out).not.toContain(CANARY)
  const { entries } = await verifiedLedger(broker.dataDir)
  expect(JSON.stringify(entries)).not.toContain(CANARY)
  expect(broker.log).toContain('static')
})
