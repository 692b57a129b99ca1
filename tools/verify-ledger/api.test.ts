import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { ledgerOf, VKEY } from '../../test/support/ledger-builder.js'
import { writeTiles } from '../../test/support/tile-writer.js'

const ENTRY = fileURLToPath(new URL('./api.js', import.meta.url))
const PACKAGE = fileURLToPath(new URL('../../../package.json', import.meta.url))

/** What `import … from`, `export … from` and `import '…'` name in built code. `import()` is not among them. */
const STATIC_IMPORT = /^(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]/gm

/** All that is loaded with `file`: our files by path, packages by name. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, name] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
    if (name!.startsWith('.')) importsOf(resolve(dirname(file), name!), seen)
    else seen.add(name!)
  }
  return seen
}

test('the entry point for programs has no Nest and no native module behind it', () => {
  const names = [...importsOf(ENTRY)]
  const packages = names.filter((name) => !name.startsWith('/') && !name.startsWith('node:')).sort()
  expect(packages).toEqual([
    '#ed25519',
    '#sha256',
    '@noble/curves/ed25519.js',
    '@noble/curves/nist.js',
    '@noble/hashes/utils.js',
    'undici',
  ])
  const root = resolve(dirname(ENTRY), '../..')
  const files = names.filter((name) => name.startsWith('/')).map((name) => name.slice(root.length + 1))
  const foreign =
    /^(?!tools\/verify-ledger\/|src\/domain\/ledger\/|src\/storage\/(?:atomic-file|folder)\.js$)/
  expect(files.filter((file) => foreign.test(file))).toEqual([])
})

test('the walk over imports would see a native module', () => {
  const sqlite = fileURLToPath(new URL('./sources/sqlite.js', import.meta.url))
  expect([...importsOf(sqlite)]).toContain('better-sqlite3')
})

test('agentkeys-broker/verify is that entry point, with types', () => {
  const { exports } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { exports: Record<string, unknown> }
  expect(exports['./verify']).toEqual({
    types: './dist/tools/verify-ledger/api.d.ts',
    default: './dist/tools/verify-ledger/api.js',
  })
  expect(resolve(dirname(PACKAGE), './dist/tools/verify-ledger/api.js')).toBe(ENTRY)
})

test('a program verifies a log with it', async () => {
  const { openSource, parseSource, parseVkey, verify } = await import('./api.js')
  const folder = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
  try {
    writeTiles(folder, ledgerOf(300))
    const source = await openSource(await parseSource(folder))
    const { verdict, keyFrom } = await verify(source, { vkey: parseVkey(VKEY), statePath: 'none' })
    await source.close()
    expect([verdict.ok, verdict.size, keyFrom]).toEqual([true, 300, 'given'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
