import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, test } from '@jest/globals'

import { entriesFrom } from '../../../test/contract/event-store.contract.js'
import { parseSignedCheckpoint, signCheckpoint } from '../../domain/ledger/checkpoint.js'
import { hashLeaf, Tree } from '../../domain/ledger/merkle.js'
import { signerFromSeed } from '../../domain/ledger/note.js'
import { decodeBundle } from '../../domain/ledger/tiles.js'
import { MemoryEventStore } from '../../event-store/memory.js'
import { exportTiles } from './tile-export.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

async function logOf(size: number) {
  const store = new MemoryEventStore()
  const entries = entriesFrom(undefined, size)
  await store.append(entries, 0)
  const tree = new Tree()
  for (const { leafHash } of entries) tree.append(Uint8Array.from(Buffer.from(leafHash, 'hex')))
  const signer = signerFromSeed('log.example/ledger', 'ed25519', new Uint8Array(32))
  const checkpoint = parseSignedCheckpoint(
    signCheckpoint({ origin: 'log.example/ledger', ...tree.head() }, signer),
  )
  const directory = mkdtempSync(join(tmpdir(), 'tiles-'))
  folders.push(directory)
  return { store, entries, export: { store, checkpoint, vkey: 'vkey', directory }, directory }
}

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort()

test('every tile the checkpoint implies is a file, and the bundles hold the entries byte for byte', async () => {
  const { entries, directory, ...log } = await logOf(513)
  await exportTiles(log.export)
  expect(filesIn(directory)).toEqual([
    ...['checkpoint', 'tile/0/000', 'tile/0/001', 'tile/0/002.p/1', 'tile/1/000.p/2'],
    ...['tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/1', 'vkey'],
  ])
  const bundle = decodeBundle(readFileSync(join(directory, 'tile/entries/001')), 256)
  expect(bundle.map((bytes) => Buffer.from(bytes).toString())).toEqual(
    entries.slice(256, 512).map(({ text }) => text),
  )
  const hashes = readFileSync(join(directory, 'tile/0/001'))
  expect(hashes.subarray(0, 32)).toEqual(Buffer.from(hashLeaf(bundle[0] as Uint8Array)))
})

test('a later export adds what is new and leaves full tiles alone', async () => {
  const log = await logOf(300)
  expect(await exportTiles(log.export)).toBe(7)
  expect(await exportTiles(log.export)).toBe(5)
})

test('a ledger that does not hash to the checkpoint is refused, and no checkpoint is written', async () => {
  const { directory, ...log } = await logOf(300)
  const other = await logOf(299)
  await expect(
    exportTiles({ ...log.export, checkpoint: other.export.checkpoint, store: log.store }),
  ).resolves.toBe(7)
  const forged = { ...log.export.checkpoint, root: new Uint8Array(32) }
  rmSync(join(directory, 'checkpoint'))
  await expect(exportTiles({ ...log.export, checkpoint: forged })).rejects.toThrow(
    'is not what the checkpoint',
  )
  expect(filesIn(directory)).not.toContain('checkpoint')
})

test('a ledger shorter than the checkpoint is refused', async () => {
  const { directory, ...log } = await logOf(300)
  const short = await logOf(200)
  await expect(exportTiles({ ...log.export, store: short.store })).rejects.toThrow('ends before entry')
  expect(filesIn(directory)).not.toContain('checkpoint')
})
