import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, test } from '@jest/globals'

import { type Config, readConfig } from '../config.js'
import { loadOrCreateLedgerKey } from '../ledger/key.js'
import { DEFAULT_FLAGS } from './flags.js'
import { withKeptOrigin } from './kept-origin.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function config(variables: Record<string, string> = {}): Config {
  const folder = mkdtempSync(join(tmpdir(), 'origin-'))
  folders.push(folder)
  const reading = readConfig({ HOME: folder, BROKER_DATA_DIR: folder, ...variables }, DEFAULT_FLAGS)
  if ('problems' in reading) throw new Error(reading.problems.join('\n'))
  return reading.config
}

test('a ledger that was opened with the port in its name keeps that name', () => {
  const read = config()
  expect(withKeptOrigin(read).ledger.origin).toBe('127.0.0.1/ledger')
  loadOrCreateLedgerKey(read.ledger.keyPath, '127.0.0.1:8091/ledger')
  expect(withKeptOrigin(read).ledger.origin).toBe('127.0.0.1:8091/ledger')
})

test('a name that is set, or of another ledger, is left as it is', () => {
  const named = config({ BROKER_LEDGER_ORIGIN: 'mine' })
  loadOrCreateLedgerKey(named.ledger.keyPath, '127.0.0.1:8091/ledger')
  expect(withKeptOrigin(named).ledger.origin).toBe('mine')
  const other = config()
  loadOrCreateLedgerKey(other.ledger.keyPath, 'other.example/ledger')
  expect(withKeptOrigin(other).ledger.origin).toBe('127.0.0.1/ledger')
})
