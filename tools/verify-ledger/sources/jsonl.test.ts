import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import type { Row } from '../../../src/domain/ledger/verify.js'
import { ledgerOf, writeJsonl } from '../../../test/support/ledger-builder.js'

import { JsonlSource } from './jsonl.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verify-ledger-'))
  path = join(folder, 'ledger.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function rowsOf(): Promise<Row[]> {
  const source = await JsonlSource.open(path)
  const rows: Row[] = []
  for await (const batch of source.batches()) {
    expect(batch.from).toBe(rows.length)
    rows.push(...batch.rows)
  }
  await source.close()
  return rows
}

test('gives every line, wherever the file is cut into pieces', async () => {
  const texts = [...ledgerOf(5_000)].flat().map(({ text }) => text)
  writeJsonl(path, texts)
  expect(await rowsOf()).toEqual(texts)
})

test('an empty file has no rows', async () => {
  writeFileSync(path, '')
  expect(await rowsOf()).toEqual([])
})

const CUT_OFF = {
  problem: 'malformed',
  detail: 'the last line does not end in a line feed: the file was cut off',
}

test('a last line without its line feed was cut off', async () => {
  writeFileSync(path, 'a\nb')
  expect(await rowsOf()).toEqual(['a', CUT_OFF])
  writeFileSync(path, 'x'.repeat(2_000_000))
  expect(await rowsOf()).toEqual([CUT_OFF])
})

test('nothing but a line feed ends a line, and nothing is forgiven', async () => {
  writeFileSync(path, 'a\n\r\n\n\u2028\n\ufeffb\n')
  expect(await rowsOf()).toEqual(['a', '\r', '', '\u2028', '\ufeffb'])
})

test('a line that is too long is let go, and the next is read', async () => {
  writeFileSync(path, `a\n${'x'.repeat(3_000_000)}\nb\n${'y'.repeat(65_535)}\nc\n`)
  const tooLarge = { problem: 'too-large', detail: 'longer than 65535 bytes' }
  expect(await rowsOf()).toEqual(['a', tooLarge, 'b', 'y'.repeat(65_535), 'c'])
})

test('a line that is not UTF-8 is a finding of its own', async () => {
  writeFileSync(path, Buffer.from('a\nb\n\xff\nc\n\xff\n', 'latin1'))
  const bad = { problem: 'malformed', detail: 'the line is not UTF-8' }
  expect(await rowsOf()).toEqual(['a', 'b', bad, 'c', bad])
})

test('what is not there, or is no file, is an error', async () => {
  await expect(rowsOf()).rejects.toThrow('cannot be read: ENOENT')
  path = folder
  await expect(rowsOf()).rejects.toThrow('it is no regular file')
})
