// Files that are none, files that were mangled on their way, and secrets where a file is expected.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeEach, describe, expect, test } from '@jest/globals'

import { LedgerBuilder, VKEY, writeJsonl } from '../../test/support/ledger-builder.js'
import { writeTiles } from '../../test/support/tile-writer.js'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'hostile-files-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const { entries, texts } = LedgerBuilder.opened().oidcMint()
let folder: string
let jsonl: string
beforeEach(() => {
  folder = mkdtempSync(join(scratch, 'log-'))
  jsonl = join(folder, 'ledger.jsonl')
  writeTiles(folder, [entries])
  writeJsonl(jsonl, texts)
})

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 60_000 })
}

describe('a file of evidence', () => {
  test.each([
    ['a byte order mark', '\ufeff', '\n', 'byte order mark'],
    ['CRLF', '', '\r\n', 'CRLF'],
  ])('with %s is wrong usage, never an accusation', (_, begin, end, message) => {
    const mangled = (text: string): string => begin + text.replaceAll('\n', end)
    writeFileSync(jsonl, mangled(readFileSync(jsonl, 'utf8')))
    const checkpoint = join(folder, 'checkpoint')
    writeFileSync(checkpoint, mangled(readFileSync(checkpoint, 'utf8')))
    for (const args of [[jsonl], [folder, '--checkpoint', checkpoint]]) {
      const { status, stdout, stderr } = run(...args, '--no-state')
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toContain(message)
    }
  })

  test('that is a pipe, a device or a link to one is refused at once', () => {
    const bundle = join(folder, 'tile/entries/000.p/6')
    rmSync(bundle)
    execFileSync('mkfifo', [join(folder, 'fifo.jsonl'), bundle])
    expect(run(join(folder, 'fifo.jsonl'))).toMatchObject({ status: 3 })
    expect(run(`sqlite:${join(folder, 'fifo.jsonl')}`)).toMatchObject({ status: 3 })
    expect(run(folder, '--no-state')).toMatchObject({ status: 3 })
    rmSync(bundle)
    symlinkSync('/dev/zero', bundle)
    const { status, stderr } = run(folder, '--no-state')
    expect([status, stderr]).toEqual([3, expect.stringContaining('is no regular file')])
    expect(run(jsonl, '--checkpoint', '/dev/zero')).toMatchObject({ status: 3 })
  })
})

describe('--out', () => {
  test('writes through what is no regular file, and follows a link', () => {
    expect(run('export', jsonl, '--out', '/dev/stdout').stdout).toBe(readFileSync(jsonl, 'utf8'))
    const [target, link] = [join(folder, 'target'), join(folder, 'link')]
    writeFileSync(target, '')
    symlinkSync(target, link)
    expect(run('export', jsonl, '--out', link)).toMatchObject({ status: 0 })
    expect(readFileSync(target, 'utf8')).toBe(readFileSync(jsonl, 'utf8'))
    expect(run('export', jsonl, '--out', '/dev/null')).toMatchObject({ status: 0 })
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
    rmSync(target)
    expect(run('export', jsonl, '--out', link)).toMatchObject({ status: 3 })
  })
})

test('a token where a file is expected is recognised and never printed', () => {
  const token = `eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJ4In0.${'s'.repeat(86)}`
  const receipt = ['receipt', '--vkey', VKEY, '--receipt', join(folder, 'checkpoint')]
  for (const args of [
    [...receipt, '--jwt', token],
    [...receipt, token],
    [jsonl, token],
    [token],
    ['http://127.0.0.1:9/ledger', '--token-file', token],
  ]) {
    const { status, stdout, stderr } = run(...args)
    expect([2, 3]).toContain(status)
    expect(stdout + stderr).not.toContain(token.slice(0, 20))
  }
  expect(run(...receipt, '--jwt', token).stderr).toContain('--jwt takes the name of a file')
})
