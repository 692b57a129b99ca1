import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { loadOrCreateToken } from './token-file.js'

let folder: string
const path = () => join(folder, 'deep', 'auditor-token')
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'token-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a token is made once, for its owner alone, and kept', () => {
  const made = loadOrCreateToken(path())
  const text = readFileSync(path(), 'utf8')
  expect(text).toMatch(/^[0-9a-f]{64}\n$/)
  expect(statSync(path()).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(folder, 'deep'))).toEqual(['auditor-token'])

  const loaded = loadOrCreateToken(path())
  for (const token of [made, loaded]) expect(token.matches(text.trim())).toBe(true)
  expect(readFileSync(path(), 'utf8')).toBe(text)
})

test('nothing but the token matches', () => {
  const token = loadOrCreateToken(path())
  const text = readFileSync(path(), 'utf8').trim()
  const others = ['', text.slice(1), `${text}\n`, text.toUpperCase().replace(/^\d*$/, 'X'), `${text}0`, 'é']
  expect(others.map((other) => token.matches(other))).toEqual(others.map(() => false))
})

test('the token cannot be got out of what holds it', () => {
  const token = loadOrCreateToken(path())
  const text = readFileSync(path(), 'utf8').trim()
  expect(inspect(token, { depth: null, showHidden: true }) + JSON.stringify(token)).not.toContain(text)
})

test('a file that others can read is refused', () => {
  loadOrCreateToken(path())
  chmodSync(path(), 0o640)
  expect(() => loadOrCreateToken(path())).toThrow('its mode is 0640, others can read it: chmod 600 it')
})

test.each([
  '',
  'hunter2-hunter2\n',
  'A'.repeat(64),
  'a'.repeat(63),
  `${'a'.repeat(64)}\n\n`,
  ` ${'a'.repeat(64)}`,
])('a file that holds %j is refused, in words that do not repeat it', (text) => {
  loadOrCreateToken(path())
  writeFileSync(path(), text)
  let message = ''
  try {
    loadOrCreateToken(path())
  } catch (error) {
    message = (error as Error).message
  }
  expect(message).toBe(`${path()}: it must hold 64 lower-case hex digits: delete it, and a new token is made`)
  expect(readFileSync(path(), 'utf8')).toBe(text)
})
