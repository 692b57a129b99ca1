// agentkeys-broker export-tiles DIR: the read side as files, for any static host. C2SP tlog-tiles.

import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
} from '../../domain/ledger/checkpoint.js'
import { TileTree } from '../../domain/ledger/tile-tree.js'
import { encodeBundle, formatTilePath, type Tile, TILE_WIDTH } from '../../domain/ledger/tiles.js'
import { FormatError, sameBytes, utf8 } from '../../domain/ledger/encoding.js'
import type { Sealed } from '../../domain/ledger/entry.js'
import type { EventStore, Stored } from '../../event-store/event-store.js'
import { replaceFile } from '../../storage/atomic-file.js'
import { ADVICE, asDamage, linked, LedgerRefused } from '../../ledger/open-ledger.js'

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
 * whose tiles are missing. Full tiles that are there already are left alone. Throws LedgerRefused when the entries are
 * damaged or do not hash to the checkpoint's root, and when the folder holds another ledger, or more of this one.
 */
export async function exportTiles({
  store,
  checkpoint,
  vkey,
  directory,
  onProgress,
}: TileExport): Promise<number> {
  const former = formerCheckpoint(directory, checkpoint)
  const writer = new TileWriter(directory)
  const full: { tile: Tile; hashes: Uint8Array }[] = []
  const tree = new TileTree((tile, hashes) => full.push({ tile, hashes }))
  for (let last: Sealed | undefined; tree.size < checkpoint.size;) {
    const index = tree.size / TILE_WIDTH
    const width = Math.min(TILE_WIDTH, checkpoint.size - tree.size)
    const entries = await entriesAt(store, last, width)
    for (const { leafHash } of entries) {
      tree.append(Buffer.from(leafHash, 'hex'))
      if (tree.size === former?.size && !sameBytes(tree.root(), former.root)) throw otherLedger(directory)
    }
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

/** What an earlier export into the same folder ended with. */
function formerCheckpoint(directory: string, next: SignedCheckpoint): SignedCheckpoint | undefined {
  const bytes = contentOf(join(directory, 'checkpoint'))
  if (!bytes) return undefined
  try {
    const former = parseSignedCheckpoint(bytes)
    if (former.origin === next.origin && former.size <= next.size) return former
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
  }
  throw otherLedger(directory)
}

function otherLedger(directory: string): LedgerRefused {
  return new LedgerRefused(
    `${directory} holds the tiles of another ledger, or more of this one: export to a folder of its own`,
  )
}

function contentOf(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw error
  }
}

async function entriesAt(store: EventStore, last: Sealed | undefined, width: number): Promise<Sealed[]> {
  const from = last ? last.entry.index + 1 : 0
  const entries: Sealed[] = []
  while (entries.length < width) {
    const stored = await store.read(from + entries.length, width - entries.length)
    if (stored.length === 0)
      throw new LedgerRefused(
        `${store.description} ends before entry ${from + width}, for which a checkpoint was signed; ${ADVICE}`,
      )
    entries.push(...linkedIn(store, entries.at(-1) ?? last, stored))
  }
  return entries
}

function linkedIn(store: EventStore, last: Sealed | undefined, stored: readonly Stored[]): Sealed[] {
  try {
    return linked(last, stored)
  } catch (error) {
    throw asDamage(error, store, stored[0]?.index ?? 0)
  }
}

class TileWriter {
  written = 0

  constructor(private readonly directory: string) {}

  async write(tile: Tile, bytes: Uint8Array): Promise<void> {
    const path = formatTilePath(tile)
    const there = tile.width === TILE_WIDTH ? contentOf(join(this.directory, path)) : undefined
    if (!there) return this.writeText(path, bytes)
    if (!sameBytes(there, bytes)) throw otherLedger(this.directory)
  }

  async writeText(path: string, content: string | Uint8Array): Promise<void> {
    const file = join(this.directory, path)
    mkdirSync(dirname(file), { recursive: true })
    await replaceFile(file, content, 0o644)
    this.written += 1
  }
}
