// The tree's tiles as a table: C2SP tlog-tiles, full ones and the one at the right edge of each level.

import type Sqlite from 'better-sqlite3'

import { type HashReader, Tree } from '../domain/ledger/merkle.js'
import { TILE_WIDTH, tileReader } from '../domain/ledger/tiles.js'
import { HASH_BYTES } from '../domain/ledger/wire.js'
import type { Projection } from './projection.js'

/** One tile of level L holds every 8 * L-th level of the tree. */
const TILE_HEIGHT = 8

interface OpenTile {
  index: number
  width: number
  hashes: Uint8Array
  dirty: boolean
}

export const tiles: Projection = {
  schema: `
    CREATE TABLE tiles (
      level INTEGER NOT NULL,
      idx INTEGER NOT NULL,
      hashes BLOB NOT NULL,
      PRIMARY KEY (level, idx)
    ) STRICT, WITHOUT ROWID;
  `,
  prepare(db) {
    const save = db.prepare(
      'INSERT INTO tiles VALUES (@level, @index, @hashes) ON CONFLICT (level, idx) DO UPDATE SET hashes = @hashes',
    )
    const open = openTiles(db)
    const tree = Tree.at(sizeOf(open), tileHashes(db, sizeOf(open)))
    const write = (tile: OpenTile, level: number) => {
      if (!tile.dirty) return
      save.run({ level, index: tile.index, hashes: tile.hashes.subarray(0, tile.width * HASH_BYTES) })
      tile.dirty = false
    }
    const keep = (level: number, index: number, hash: Uint8Array) => {
      if (level % TILE_HEIGHT !== 0) return
      const tile = (open[level / TILE_HEIGHT] ??= emptyTile(0))
      tile.hashes.set(hash, tile.width * HASH_BYTES)
      tile.width += 1
      tile.dirty = true
      if (tile.width < TILE_WIDTH) return
      write(tile, level / TILE_HEIGHT)
      open[level / TILE_HEIGHT] = emptyTile(Math.floor(index / TILE_WIDTH) + 1)
    }
    return {
      apply: ({ leafHash }) => tree.append(Buffer.from(leafHash, 'hex'), keep),
      // A tile at the edge is written once a batch, not once an entry.
      endBatch: () => open.forEach(write),
    }
  },
}

/** Complete subtrees of the first `size` leaves, from the table. */
export function tileHashes(db: Sqlite.Database, size: number): HashReader {
  const find = db.prepare<[number, number], { hashes: Uint8Array }>(
    'SELECT hashes FROM tiles WHERE level = ? AND idx = ?',
  )
  return tileReader(size, ({ level, index, width }) => {
    const row = find.get(level as number, index)
    if (!row || row.hashes.length < width * HASH_BYTES) throw new RangeError(`tile ${level}/${index} is missing`)
    return row.hashes.subarray(0, width * HASH_BYTES)
  })
}

function openTiles(db: Sqlite.Database): OpenTile[] {
  const last = db.prepare<[], { level: number; idx: number; hashes: Uint8Array }>(
    'SELECT level, idx, hashes FROM tiles WHERE (level, idx) IN (SELECT level, max(idx) FROM tiles GROUP BY level) ORDER BY level',
  )
  return last.all().map(({ idx, hashes }) => {
    const width = hashes.length / HASH_BYTES
    if (width === TILE_WIDTH) return emptyTile(idx + 1)
    const tile = emptyTile(idx)
    tile.hashes.set(hashes)
    return { ...tile, width }
  })
}

function emptyTile(index: number): OpenTile {
  return { index, width: 0, hashes: new Uint8Array(TILE_WIDTH * HASH_BYTES), dirty: false }
}

function sizeOf([leaves]: OpenTile[]): number {
  return leaves ? leaves.index * TILE_WIDTH + leaves.width : 0
}
