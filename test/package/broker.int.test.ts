// agentkeys-broker, as its users get it.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
import { LedgerBuilder, writeSqlite } from '../support/ledger-builder.js'
import { PackageRegistry } from '../support/package-registry.js'

const NAME = 'agentkeys-broker'
/** Built by npm ci, and not once more here: it takes a minute. */
const NATIVE = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node'

let folder: string
let contents: string[]
let installed: string
let installation: Ran
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'package-'))
  const tarball = await pack(checkOut(folder), folder)
  contents = await contentsOf(tarball)
  installed = join(folder, 'installed')
  const registry = await PackageRegistry.start(tarball)
  try {
    installation = await install(NAME, installed, ['--registry', registry.url, '--omit=optional'])
  } finally {
    await registry.stop()
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a checkout without a build packs a built package, without tests', () => {
  expect(contents).toEqual(expect.arrayContaining(['dist/src/main.js', 'npm-shrinkwrap.json', 'LICENSE']))
  expect(contents.filter((path) => /\.test\.|\.map$|tsbuildinfo|^dist\/test/.test(path))).toEqual([])
})

test('it installs without a warning, and only better-sqlite3 has an install script', () => {
  expect([installation.code, installation.stderr]).toEqual([0, ''])
  const lock = readFileSync(join(installed, 'package-lock.json'), 'utf8')
  const { packages } = JSON.parse(lock) as { packages: Record<string, { hasInstallScript?: boolean }> }
  const scripts = Object.keys(packages).filter((path) => packages[path]?.hasInstallScript)
  // @scarf/scarf comes with @nestjs/swagger, which is on its way out.
  expect(scripts.filter((path) => !path.endsWith('@scarf/scarf'))).toEqual([
    expect.stringMatching(/node_modules\/better-sqlite3$/),
  ])
})

test('each of its programs runs by the name it is installed under', async () => {
  const { bin, version } = manifestOf(join(installed, 'node_modules', NAME))
  for (const name of Object.keys(bin)) {
    const program = join(installed, 'node_modules/.bin', name)
    expect(await run(program, ['--version'], folder)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    expect(readFileSync(program, 'utf8').split('\n', 1)).toEqual(['#!/usr/bin/env node'])
  }
})

test('without the native module, programs say that better-sqlite3 is to be installed again', async () => {
  const [data, ledger] = [join(folder, 'data'), join(folder, 'ledger.sqlite')]
  writeSqlite(ledger, [LedgerBuilder.opened().oidcMint().entries])
  const program = (name: string, ...args: string[]) =>
    run(join(installed, 'node_modules/.bin', name), args, folder, {
      BROKER_DATA_DIR: data,
      BROKER_OIDC_ISSUER: 'https://broker.example.com',
      AGENTKEYS_HOME: data,
    })
  for (const ran of [
    await program('agentkeys-broker', '--port', '0'),
    await program('agentkeys', 'init'),
    await program('verify-ledger', `sqlite:${ledger}`),
  ]) {
    expect(ran.code).toBeGreaterThan(0)
    expect(ran.stdout + ran.stderr).toContain('better-sqlite3 cannot be loaded: install it again')
    expect(ran.stdout + ran.stderr).not.toMatch(/writable|\n {4}at /)
  }
})

test('the native module is found where npm puts it', async () => {
  cpSync(join(PROJECT, NATIVE), join(installed, 'node_modules', NAME, NATIVE))
  const ledger = join(folder, 'ledger.sqlite')
  const program = join(installed, 'node_modules/.bin/verify-ledger')
  const { code, stdout, stderr } = await run(program, [`sqlite:${ledger}`], folder)
  expect([code, stdout, stderr]).toEqual([0, expect.stringContaining('1 JWTs'), ''])
})

test('each of its exports can be imported', async () => {
  const paths = Object.keys(manifestOf(join(installed, 'node_modules', NAME)).exports)
  const names = paths.filter((path) => !path.endsWith('.json')).map((path) => path.replace('.', NAME))
  const program = names
    .map((name) => `console.log(Object.keys(await import('${name}')).length > 0)`)
    .join('\n')
  writeFileSync(join(installed, 'program.mjs'), program)
  const { code, stdout, stderr } = await run(process.execPath, ['program.mjs'], installed)
  expect([code, stdout, stderr]).toEqual([0, 'true\n'.repeat(names.length), ''])
})
