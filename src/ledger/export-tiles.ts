// agentkeys-broker export-tiles DIR: the read side as files, for any static host. C2SP tlog-tiles.

import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { formatSignedCheckpoint, type SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { TileTree } from '../domain/ledger/tile-tree.js'
import { encodeBundle, formatTilePath, type Tile, TILE_WIDTH } from '../domain/ledger/tiles.js'
import { sameBytes, utf8 } from '../domain/ledger/wire.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { EventStore } from '../event-store/event-store.js'
import { replaceFile } from '../storage/atomic-file.js'
import { linked, LedgerRefused } from './open-ledger.js'

export interface TileExport {
  store: EventStore
  /** A checkpoint that was signed before: nothing is signed here. */
  checkpoint: SignedCheckpoint
  vkey: string
  directory: string
  onProgress?: (entries: number) => void
}

/**
 * Writes every tile and bundle the checkpoint implies, then the checkpoint: a reader of the folder never sees a head
 * whose tiles are missing. Full tiles that are there already are left alone. Throws LedgerRefused when the entries do not
 * hash to the checkpoint's root.
 */
export async function exportTiles({
  store,
  checkpoint,
  vkey,
  directory,
  onProgress,
}: TileExport): Promise<number> {
  const writer = new TileWriter(directory)
  const full: { tile: Tile; hashes: Uint8Array }[] = []
  const tree = new TileTree((tile, hashes) => full.push({ tile, hashes }))
  for (let last: Sealed | undefined; tree.size < checkpoint.size;) {
    const index = tree.size / TILE_WIDTH
    const width = Math.min(TILE_WIDTH, checkpoint.size - tree.size)
    const entries = await entriesAt(store, last, width)
    for (const { leafHash } of entries) tree.append(Buffer.from(leafHash, 'hex'))
    await writer.write(
      { level: 'entries', index, width },
      encodeBundle(entries.map(({ text }) => utf8(text))),
    )
    for (const { tile, hashes } of full.splice(0)) await writer.write(tile, hashes)
    last = entries.at(-1)
    onProgress?.(tree.size)
  }
  if (!sameBytes(tree.root(), checkpoint.root)) {
    throw new LedgerRefused(
      `${store.description} is not what the checkpoint of ${checkpoint.size} entries was signed for`,
    )
  }
  for (const { tile, hashes } of tree.unfinished()) await writer.write(tile, hashes)
  await writer.writeText('vkey', `${vkey}\n`)
  await writer.writeText('checkpoint', formatSignedCheckpoint(checkpoint))
  return writer.written
}

async function entriesAt(store: EventStore, last: Sealed | undefined, width: number): Promise<Sealed[]> {
  const from = last ? last.entry.index + 1 : 0
  const entries: Sealed[] = []
  while (entries.length < width) {
    const stored = await store.read(from + entries.length, width - entries.length)
    if (stored.length === 0) throw new LedgerRefused(`${store.description} ends before entry ${from + width}`)
    entries.push(...linked(entries.at(-1) ?? last, stored))
  }
  return entries
}

class TileWriter {
  written = 0

  constructor(private readonly directory: string) {}

  async write(tile: Tile, bytes: Uint8Array): Promise<void> {
    const path = formatTilePath(tile)
    if (tile.width === TILE_WIDTH && existsSync(join(this.directory, path))) return
    await this.writeText(path, bytes)
  }

  async writeText(path: string, content: string | Uint8Array): Promise<void> {
    const file = join(this.directory, path)
    mkdirSync(dirname(file), { recursive: true })
    await replaceFile(file, content, 0o644)
    this.written += 1
  }
}
