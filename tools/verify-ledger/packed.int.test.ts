// agentkeys-broker/verify as a stranger gets it: the packed project, in a folder with the three packages that it says
// it needs, and none of the others.

import { execFileSync, spawn } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { ledgerOf } from '../../test/support/ledger-builder.js'
import { TileServer } from '../../test/support/tile-server.js'
import { writeTiles } from '../../test/support/tile-writer.js'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const NEEDED = ['@noble/curves', '@noble/hashes', 'undici']

let folder: string
let log: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'packed-'))
  log = join(folder, 'log')
  writeTiles(log, ledgerOf(600))
  const env = { ...process.env, npm_config_cache: join(folder, 'cache'), npm_config_offline: 'true' }
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]
  execFileSync('npm', pack, { cwd: PROJECT, env, stdio: 'pipe' })
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '@noble'), { recursive: true })
  mkdirSync(join(modules, 'agentkeys-broker'))
  execFileSync('tar', [
    '-xzf',
    join(folder, archive),
    '-C',
    join(modules, 'agentkeys-broker'),
    '--strip-components=1',
  ])
  for (const name of NEEDED) symlinkSync(join(PROJECT, 'node_modules', name), join(modules, name))
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs `program` in that folder. A link to a package leads to its neighbours, unless the link itself is its place. */
function run(program: string): Promise<Ended> {
  const path = join(folder, 'program.mjs')
  writeFileSync(path, program)
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], XDG_STATE_HOME: join(folder, 'state') }
    const child = spawn(process.execPath, ['--preserve-symlinks', path], { cwd: folder, env })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** The program of docs/auditor.md, about the log of this test. */
function documented(source: string): string {
  const [, after = ''] = readFileSync(join(PROJECT, 'docs/auditor.md'), 'utf8').split('## From a program')
  const [, program = ''] = /```js\n(.*?)```/s.exec(after) ?? []
  expect(program).toContain("'https://broker.example.com/ledger'")
  return program.replace("'https://broker.example.com/ledger'", JSON.stringify(source))
}

test('the program of docs/auditor.md verifies a log over HTTP, and the next time that it has grown', async () => {
  writeFileSync(join(folder, 'auditor-token'), 'a-token\n')
  const server = await TileServer.start(log, { token: 'a-token' })
  try {
    const program = documented(server.url)
    expect(await run(program)).toEqual({ code: 0, stdout: 'verified 600 []\n', stderr: '' })
    expect(await run(program)).toEqual({ code: 0, stdout: 'verified 600 [ 600 ]\n', stderr: '' })
  } finally {
    await server.stop()
  }
})

test('a directory needs no token; what was changed there is reported', async () => {
  const program = documented(log)
    .replace("tokenFile: 'auditor-token',", '')
    .replace('{ vkey }', "{ vkey, statePath: 'none' }")
  expect(await run(program)).toEqual({ code: 0, stdout: 'verified 600 []\n', stderr: '' })
  const changed = join(folder, 'changed')
  writeTiles(changed, ledgerOf(600))
  const tile = join(changed, 'tile/0/001')
  writeFileSync(tile, readFileSync(tile).fill(1, 0, 1))
  const { code, stdout, stderr } = await run(program.replace(JSON.stringify(log), JSON.stringify(changed)))
  expect([code, stdout]).toEqual([0, 'not verified 600 []\n'])
  expect(stderr).toMatch(/^256 wrong-tile /)
})

test.each([
  ['sqlite:ledger.sqlite', 'better-sqlite3'],
  ['esdb://127.0.0.1:1?tls=false', '@eventstore/db-client'],
])('what is not there is not needed until it is asked for: %s', async (source, name) => {
  const program = `
    import { openSource, parseSource } from 'agentkeys-broker/verify'
    const source = await parseSource(${JSON.stringify(source)})
    console.log(await openSource(source).then(() => 'opened', (error) => error.code + ' ' + error.message))
  `
  const { code, stdout } = await run(program)
  expect([code, stdout]).toEqual([0, expect.stringContaining(`not installed: npm install ${name}`)])
})

test('its types are there for a strict program, and are those of what it gives', () => {
  writeFileSync(
    join(folder, 'program.mts'),
    `import { openSource, parseSource, verify, type Finding, type Outcome } from 'agentkeys-broker/verify'
     const outcome: Outcome = await verify(await openSource(await parseSource('log')), { full: true })
     const first: Finding | null = outcome.verdict.firstFinding
     // @ts-expect-error: there is no such option
     await verify(await openSource({ kind: 'directory', path: 'log' }), { fool: true })
     console.log(first?.kind satisfies string | undefined)\n`,
  )
  const tsc = join(PROJECT, 'node_modules/typescript/bin/tsc')
  const types = ['--types', 'node', '--typeRoots', join(PROJECT, 'node_modules/@types')]
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2023',
    '--module',
    'nodenext',
    ...types,
  ]
  const out = ((): string => {
    try {
      return execFileSync(process.execPath, [tsc, ...options, 'program.mts'], { cwd: folder }).toString()
    } catch (error) {
      return (error as { stdout: Buffer }).stdout.toString()
    }
  })()
  expect(out).toBe('')
})
