// What an installation brings along, read from the lock file.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { expect, test } from '@jest/globals'

const require = createRequire(import.meta.url)
const semver = require('semver') as {
  satisfies(version: string, range: string): boolean
}

interface Locked {
  version?: string
  dev?: boolean
  engines?: { node?: string }
  hasInstallScript?: boolean
}

const LOCK_FILE = new URL('../../../package-lock.json', import.meta.url)
const { packages } = JSON.parse(readFileSync(LOCK_FILE, 'utf8')) as { packages: Record<string, Locked> }
const locked = Object.entries(packages).map(([path, found]) => ({
  name: path.replace(/^.*node_modules\//, ''),
  ...found,
}))

test.each(['20.19.0', '22.13.0', '24.0.0'])('every package supports Node %s', (node) => {
  const unsupported = locked.filter(({ engines }) => !semver.satisfies(node, engines?.node ?? '*'))
  expect(unsupported.map(({ name, version, engines }) => [name, version, engines?.node])).toEqual([])
})

test('in production, only better-sqlite3 has an install script', () => {
  const scripts = locked.filter(({ dev, hasInstallScript }) => hasInstallScript && !dev)
  // @scarf/scarf comes with @nestjs/swagger, which is on its way out.
  const expected = ['better-sqlite3', ...('node_modules/@nestjs/swagger' in packages ? ['@scarf/scarf'] : [])]
  expect(scripts.map(({ name }) => name).sort()).toEqual(expected.sort())
})
