// A ledger that was minted into, mirrored as files, and verified from them: as a folder, and behind a static server.

import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'
import { expectVerified } from '../support/audited-ledger.js'
import { BrokerProcess } from '../support/broker-process.js'
import { TileServer } from '../support/tile-server.js'

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const env = { BROKER_OIDC_ISSUER: 'https://broker.example.com' }

let broker: BrokerProcess
let folder: string
let session: string
let auditor: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'export-tiles-'))
  broker = await BrokerProcess.start({ env })
  ;({ session } = await broker.session())
  auditor = readFileSync(join(broker.dataDir, 'auditor-token'), 'utf8').trim()
  await mint(126)
})
afterAll(async () => {
  await expectVerified(broker.dataDir)
  await broker.dispose()
  rmSync(folder, { recursive: true })
})

/** That many mints, and the checkpoint of all of them on disk, where an export finds it. */
async function mint(mints: number): Promise<void> {
  for (let i = 0; i < mints; i += 6)
    await Promise.all(Array.from({ length: 6 }, () => broker.post('/v1/mint-oidc-jwt', session)))
  const kept = () => readFileSync(join(broker.dataDir, 'last-checkpoint'), 'utf8')
  while ((await served('checkpoint')).toString() !== kept())
    await new Promise((resolve) => setTimeout(resolve, 50))
}

async function served(name: string): Promise<Buffer> {
  const response = await fetch(`${broker.url}/ledger/${name}`, {
    headers: { authorization: `Bearer ${auditor}` },
  })
  expect([name, response.status]).toEqual([name, 200])
  return Buffer.from(await response.arrayBuffer())
}

interface Ended {
  code: number
  stdout: string
  stderr: string
}

function run(program: string, args: string[], variables: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env['PATH'], HOME: folder, ...variables } }
    execFile(process.execPath, [path(program), ...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code as number), stdout, stderr }),
    )
  })
}

const exportTo = (directory: string, variables: Record<string, string> = {}) =>
  run('src/main.js', ['export-tiles', directory], { ...env, BROKER_DATA_DIR: broker.dataDir, ...variables })

async function verified(source: string): Promise<{ ok: boolean; size: number }> {
  const vkey = readFileSync(join(folder, 'mirror/vkey'), 'utf8').trim()
  const { code, stdout, stderr } = await run('tools/verify-ledger/main.js', [
    source,
    '--vkey',
    vkey,
    '--json',
  ])
  expect([code, stderr]).toEqual([0, ''])
  const { ok, size } = JSON.parse(stdout) as { ok: boolean; size: number }
  return { ok, size }
}

const filesIn = (directory: string) =>
  readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort()

test('a mirror holds what the broker serves, byte for byte; exported again it follows the ledger', async () => {
  const mirror = join(folder, 'mirror')
  expect(await exportTo(mirror)).toMatchObject({ code: 0, stderr: '' })
  const first = filesIn(mirror)
  const size = (await verified(mirror)).size
  expect(size).toBeGreaterThan(252)
  for (const name of first)
    expect([name, readFileSync(join(mirror, name)).equals(await served(name))]).toEqual([name, true])

  await mint(12)
  const again = await exportTo(mirror)
  const second = filesIn(mirror)
  expect(again.stdout).toMatch(new RegExp(`^${size + 24} entries, \\d files written to `))
  expect(second).toEqual(
    expect.arrayContaining(['tile/0/000', 'tile/entries/000', `tile/0/001.p/${size + 24 - 256}`]),
  )
  for (const name of second)
    expect([name, readFileSync(join(mirror, name)).equals(await served(name))]).toEqual([name, true])
  // The second run of the auditor goes on from what the first one remembered of the log.
  expect(await verified(mirror)).toEqual({ ok: true, size: size + 24 })

  const host = await TileServer.start(mirror)
  try {
    expect(await verified(host.url)).toEqual({ ok: true, size: size + 24 })
  } finally {
    await host.stop()
  }
})

describe('what is not there is not made', () => {
  /** A copy of the broker's folder, which export-tiles may not touch. */
  function copied(): string {
    const directory = mkdtempSync(join(folder, 'copy-'))
    cpSync(broker.dataDir, directory, { recursive: true })
    return directory
  }

  test.each<[string, (dataDir: string) => void, RegExp]>([
    [
      'ledger key',
      (dataDir) => rmSync(join(dataDir, 'ledger-key.json')),
      /there is no ledger key at .*ledger-key\.json.*BROKER_LEDGER_KEY_PATH/,
    ],
    [
      'ledger',
      (dataDir) => removeLedger(dataDir),
      /there is no ledger at .*ledger\.sqlite.*BROKER_LEDGER_URL/,
    ],
    [
      'checkpoint',
      (dataDir) => rmSync(join(dataDir, 'last-checkpoint')),
      /last-checkpoint is missing; start the broker once/,
    ],
  ])('no %s: exit 3, what to do, and nothing written', async (_name, remove, words) => {
    const dataDir = copied()
    remove(dataDir)
    const before = filesIn(dataDir)
    const target = join(dataDir, 'target')
    const { code, stdout, stderr } = await exportTo(target, { BROKER_DATA_DIR: dataDir })
    expect([code, stdout, existsSync(target)]).toEqual([3, '', false])
    expect(stderr).toMatch(words)
    expect(filesIn(dataDir)).toEqual(before)
  })

  test('another key than the checkpoint was signed with: exit 1', async () => {
    const dataDir = copied()
    const keyPath = join(dataDir, 'other-key.json')
    loadOrCreateLedgerKey(keyPath, 'broker.example.com/ledger')
    const variables = { BROKER_DATA_DIR: dataDir, BROKER_LEDGER_KEY_PATH: keyPath }
    const { code, stderr } = await exportTo(join(dataDir, 'target'), variables)
    expect([code, stderr]).toEqual([1, expect.stringContaining('is not signed by the key at')])
    expect(existsSync(join(dataDir, 'target'))).toBe(false)
  })

  test('a store that is no ledger is exit 3, and repeats no URL', async () => {
    const url = 'esdb://somebody:hunter2@127.0.0.1:1?tls=false'
    const { code, stderr } = await exportTo(join(folder, 'never'), { BROKER_LEDGER_URL: url })
    expect(code).toBe(3)
    expect(stderr).not.toContain('hunter2')
  })
})

test('a folder with another ledger is left as it is', async () => {
  const other = await BrokerProcess.start({ env })
  try {
    const mirror = join(folder, 'of-both')
    expect((await exportTo(mirror)).code).toBe(0)
    const before = readFileSync(join(mirror, 'checkpoint'), 'utf8')
    await other.stop()
    const { code, stderr } = await exportTo(mirror, { BROKER_DATA_DIR: other.dataDir })
    expect([code, stderr]).toEqual([1, expect.stringContaining('holds the tiles of another ledger')])
    expect(readFileSync(join(mirror, 'checkpoint'), 'utf8')).toBe(before)

    writeFileSync(join(mirror, 'tile/entries/000'), 'altered')
    expect((await exportTo(mirror)).stderr).toContain('holds the tiles of another ledger')
    await expectVerified(other.dataDir)
  } finally {
    await other.dispose()
  }
})

function removeLedger(dataDir: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(dataDir, `ledger.sqlite${suffix}`), { force: true })
}
