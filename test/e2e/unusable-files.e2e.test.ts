// Files that are missing, hold something else, belong to another user, or that others may read: each is named with what
// to do about it, and nothing is made in its place.

import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { refusedStart } from '../support/refused-start.js'
import { runSubcommand } from '../support/subcommand.js'
import { verdictOn, ledgerPath, verifiedLedger } from '../support/verified-ledger.js'

const env = { BROKER_OIDC_ISSUER: 'https://broker.example.com' }
const GARBAGE = 'no database, but long enough to look at: '.repeat(100)
const folder = mkdtempSync(join(tmpdir(), 'unusable-files-'))
let used: string

beforeAll(async () => {
  const broker = await BrokerProcess.start({ dataDir: join(folder, 'used'), env })
  const { session } = await broker.session()
  expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
  expect(await broker.stop()).toBe(0)
  used = broker.dataDir
})
afterAll(() => rmSync(folder, { recursive: true }))

test('every file that a start makes in its folder is for its owner alone, whatever the umask says', async () => {
  const dataDir = join(folder, 'umask')
  const broker = await BrokerProcess.start({ dataDir, env, under: ['sh', '-c', 'umask 0; exec "$@"', 'sh'] })
  const { session } = await broker.session()
  expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
  const modes = () =>
    ['.', ...readdirSync(dataDir).filter((name) => !name.endsWith('.tmp'))].map((name) => [
      name,
      statSync(join(dataDir, name)).mode & 0o077,
    ])
  expect(modes().filter(([, loose]) => loose !== 0)).toEqual([])
  expect(await broker.stop()).toBe(0)
  expect(modes().filter(([, loose]) => loose !== 0)).toEqual([])
  await verifiedLedger(dataDir)
})

function copyOfUsed(): string {
  const copy = mkdtempSync(join(folder, 'copy-'))
  cpSync(used, copy, { recursive: true, preserveTimestamps: true })
  return copy
}

function removeLedger(dataDir: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(ledgerPath(dataDir) + suffix, { force: true })
}

describe('at the start of a broker', () => {
  const holdsGarbage: [string, string][] = [
    ['ledger.sqlite', 'file is not a database: restore it from its newest backup'],
    ['sessions.sqlite', 'file is not a database: move it away, and a new one is made'],
    ['audit.sqlite', 'must be a writable SQLite file; once moved away it is rebuilt'],
    ['lock', 'is no lock: delete it'],
    ['last-checkpoint', 'is no checkpoint'],
    ['node-id', 'holds no node id: delete it'],
  ]
  test.each(holdsGarbage)('garbage in %s says which file, and what to do', async (name, remedy) => {
    const dataDir = copyOfUsed()
    for (const suffix of ['-wal', '-shm']) rmSync(join(dataDir, name + suffix), { force: true })
    writeFileSync(join(dataDir, name), GARBAGE)
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toContain(join(dataDir, name))
    expect(reason).toContain(remedy)
  })

  test.each(['ledger.sqlite', 'sessions.sqlite', 'lock'])(
    'a folder in the place of %s is named',
    async (name) => {
      const dataDir = copyOfUsed()
      rmSync(join(dataDir, name))
      mkdirSync(join(dataDir, name))
      const { reason } = await refusedStart({ dataDir, env })
      expect(reason).toContain(join(dataDir, name))
      expect(reason).toContain('a folder is in the place of the file: move it away')
    },
  )

  test.each([
    ['the last checkpoint and the read models remember it', []],
    ['the read models alone remember it', ['last-checkpoint']],
    ['the last checkpoint alone remembers it', ['audit.sqlite']],
  ])('a ledger that is gone is not begun again: %s', async (_who, alsoGone) => {
    const dataDir = copyOfUsed()
    removeLedger(dataDir)
    for (const name of alsoGone) rmSync(join(dataDir, name))
    const { code, reason } = await refusedStart({ dataDir, env })
    expect(code).toBe(1)
    expect(reason).toContain(`there is no ledger at ${ledgerPath(dataDir)}, and `)
    expect(reason).toMatch(/ knows \d+ entries of it: put it back/)
    expect(existsSync(ledgerPath(dataDir))).toBe(false)
  })
})

describe('a ledger that is not there', () => {
  const commands: [string, (dataDir: string) => string[]][] = [
    ['export-tiles', (dataDir) => ['export-tiles', join(dataDir, 'tiles')]],
    ['adopt-ledger', () => ['adopt-ledger']],
    [
      'migrate-ledger',
      (dataDir) => [
        'migrate-ledger',
        '--from',
        `sqlite:${ledgerPath(dataDir)}`,
        '--to',
        `sqlite:${join(dataDir, 'to')}`,
      ],
    ],
  ]
  test.each(commands)('%s says so, and leaves no file behind', async (_name, args) => {
    const dataDir = mkdtempSync(join(folder, 'empty-'))
    const { code, err } = await runSubcommand(args(dataDir), {
      ...env,
      BROKER_DATA_DIR: dataDir,
      HOME: dataDir,
    })
    expect([code, err]).toEqual([
      expect.any(Number),
      expect.stringContaining(`there is no ledger at ${ledgerPath(dataDir)}`),
    ])
    expect(code).toBeGreaterThan(0)
    expect(readdirSync(dataDir)).toEqual([])
  })
})

/** Owners are changed by root alone; and root may use every file, unless that right is taken from it. */
const whereRoot = process.getuid?.() === 0 ? test : test.skip
const unprivileged = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--']

whereRoot.each([
  '',
  'lock',
  'node-id',
  'ledger.sqlite',
  'sessions.sqlite',
  'oidc-keypair.json',
  'operator-token',
])('a data dir or file of another user ("%s") is not "make it writable", but chown', async (name) => {
  const dataDir = copyOfUsed()
  const path = join(dataDir, name)
  chownSync(path, 12_345, 12_345)
  const { code, reason } = await refusedStart({ dataDir, env, under: unprivileged })
  expect(code).toBe(1)
  expect(reason).toContain(path)
  expect(reason).toContain('it belongs to user 12345, and this process runs as user 0: chown it')
  expect(reason).not.toContain('make it writable')
  chownSync(path, 0, 0)
  await verifiedLedger(dataDir)
})

test('files and a folder that others may read or change are reported at the start, once each', async () => {
  const dataDir = copyOfUsed()
  const loose: [string, number][] = [
    ['ledger.sqlite', 0o644],
    ['audit.sqlite', 0o640],
    ['sessions.sqlite', 0o604],
    ['last-checkpoint', 0o666],
    ['lock', 0o622],
  ]
  for (const [name, mode] of loose) chmodSync(join(dataDir, name), mode)
  chmodSync(dataDir, 0o755)
  const broker = await BrokerProcess.start({ dataDir, env })
  const { session } = await broker.session()
  expect(await broker.post('/v1/mint-oidc-jwt', session)).toMatchObject({ status: 200 })
  expect(await broker.stop()).toBe(0)
  const warnings = broker.log.split('\n').filter((line) => line.includes('"level":"warn"'))
  expect(warnings).toHaveLength(loose.length + 1)
  for (const [name, mode] of loose)
    expect(warnings).toContainEqual(
      expect.stringMatching(
        `${join(dataDir, name)}: its mode is 0${mode.toString(8)}, others can (read|change) it.*chmod 600`,
      ),
    )
  expect(warnings).toContainEqual(
    expect.stringMatching(`${dataDir}: its mode is 0755, others can read it.*chmod 700`),
  )
  expect((await verdictOn(ledgerPath(dataDir))).findings).toEqual([])
})
