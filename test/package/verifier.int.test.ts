// agentkeys-verify-ledger, as an auditor gets it: nothing of the broker beside it, and no compiler.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import {
  checkOut,
  contentsOf,
  install,
  manifestOf,
  pack,
  PROJECT,
  type Ran,
  run,
} from '../support/installed-package.js'
import { ledgerOf, VKEY, writeJsonl } from '../support/ledger-builder.js'
import { TileServer } from '../support/tile-server.js'
import { writeTiles } from '../support/tile-writer.js'

const MAX_INSTALLED_BYTES = 5_000_000

let folder: string
let tarball: string
let installed: string
let installation: Ran
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verifier-'))
  tarball = await pack(join(checkOut(folder), 'packages/verify-ledger'), folder)
  installed = join(folder, 'installed')
  installation = await install(tarball, installed)
})
afterAll(() => rmSync(folder, { recursive: true }))

const verifyLedger = (...args: string[]): Promise<Ran> =>
  run(join(installed, 'node_modules/.bin/verify-ledger'), args, folder, {
    XDG_STATE_HOME: join(folder, 'state'),
  })

test('it installs without a warning, runs no script, and is small', () => {
  expect({ ...installation, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' })
  const lock = readFileSync(join(installed, 'package-lock.json'), 'utf8')
  const { packages } = JSON.parse(lock) as { packages: Record<string, { hasInstallScript?: boolean }> }
  expect(Object.keys(packages).sort()).toEqual([
    '',
    ...['@noble/curves', '@noble/hashes', 'agentkeys-verify-ledger', 'undici'].map(
      (name) => `node_modules/${name}`,
    ),
  ])
  expect(Object.values(packages).filter(({ hasInstallScript }) => hasInstallScript)).toEqual([])
  const [bytes] = execFileSync('du', ['-sb', join(installed, 'node_modules')])
    .toString()
    .split('\t')
  expect(Number(bytes)).toBeLessThan(MAX_INSTALLED_BYTES)
})

test('it holds the licence, no test and nothing of the server', async () => {
  const contents = await contentsOf(tarball)
  expect(contents).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'dist/tools/verify-ledger/main.js']),
  )
  const ours = /^(?:LICENSE|README\.md|package\.json|dist\/(?:tools\/verify-ledger|src\/domain\/ledger)\/)/
  const shared = /^dist\/src\/(?:bounded-garbage|storage\/(?:atomic-file|folder|native-module))\./
  expect(contents.filter((path) => !ours.test(path) && !shared.test(path))).toEqual([])
  expect(contents.filter((path) => /\.(?:test|map)\b/.test(path))).toEqual([])
})

test('version and ranges are those of the broker', () => {
  const read = (path: string) =>
    JSON.parse(readFileSync(join(PROJECT, path), 'utf8')) as Record<string, Record<string, string>>
  const [broker, verifier] = [read('package.json'), read('packages/verify-ledger/package.json')]
  expect(verifier['version']).toBe(broker['version'])
  expect(verifier['engines']).toEqual(broker['engines'])
  expect(verifier['imports']).toEqual(broker['imports'])
  expect(broker['dependencies']).toMatchObject({
    ...verifier['dependencies'],
    ...verifier['peerDependencies'],
  })
})

test('each of its programs tells its version', async () => {
  const { bin, version } = manifestOf(join(installed, 'node_modules/agentkeys-verify-ledger'))
  for (const name of Object.keys(bin))
    expect(await run(join(installed, 'node_modules/.bin', name), ['--version'], folder)).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    })
})

test('it verifies a log over HTTP, a folder and an export', async () => {
  const [log, file] = [join(folder, 'log'), join(folder, 'ledger.jsonl')]
  writeTiles(log, ledgerOf(300))
  writeJsonl(
    file,
    [...ledgerOf(300)].flat().map(({ text }) => text),
  )
  writeFileSync(join(folder, 'auditor-token'), 'a-token\n')
  const server = await TileServer.start(log, { token: 'a-token' })
  try {
    const overHttp = [server.url, '--vkey', VKEY, '--token-file', join(folder, 'auditor-token')]
    for (const args of [overHttp, [log, '--vkey', VKEY, '--no-state'], [file]]) {
      const { code, stdout, stderr } = await verifyLedger(...args)
      expect([code, stdout, stderr]).toEqual([0, expect.stringContaining('300 entries'), ''])
    }
  } finally {
    await server.stop()
  }
})

test.each([
  ['sqlite:ledger.sqlite', 'better-sqlite3'],
  ['esdb://127.0.0.1:1?tls=false', '@eventstore/db-client'],
])('a SOURCE %s names the package that it needs', async (source, name) => {
  const { code, stderr } = await verifyLedger(source)
  expect([code, stderr]).toEqual([3, expect.stringContaining(`not installed: npm install ${name}`)])
})

test('a program imports it by its name', async () => {
  const program = `
    import { parseVkey } from 'agentkeys-verify-ledger'
    console.log(parseVkey(${JSON.stringify(VKEY)}).type)`
  writeFileSync(join(installed, 'program.mjs'), program)
  expect(await run(process.execPath, ['program.mjs'], installed)).toEqual({
    code: 0,
    stdout: 'ed25519\n',
    stderr: '',
  })
})
