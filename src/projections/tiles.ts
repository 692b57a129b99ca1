// The ledger's Merkle tree as a table of tiles: C2SP tlog-tiles, the full ones and the one at each level's right edge.

import type Sqlite from 'better-sqlite3'

import { type HashReader, Tree } from '../domain/ledger/merkle.js'
import { TILE_WIDTH, tileReader } from '../domain/ledger/tiles.js'
import { HASH_BYTES } from '../domain/ledger/wire.js'

/** A tile of level L holds subtrees of 256^L leaves: every eighth level of the tree. */
const TILE_HEIGHT = 8

export const TILES_SCHEMA = `
  CREATE TABLE tiles (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)
  ) STRICT, WITHOUT ROWID;
`

interface EdgeTile {
  index: number
  width: number
  hashes: Uint8Array
  changed: boolean
}

/** Grows the tiles of one level after the other. A tile at the edge is written once a batch, not once an entry. */
export class TileTable {
  private readonly write: Sqlite.Statement<[number, number, Uint8Array]>
  private readonly edge: EdgeTile[]
  private readonly tree: Tree

  constructor(db: Sqlite.Database, size: number) {
    this.write = db.prepare(
      'INSERT INTO tiles VALUES (?, ?, ?) ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes',
    )
    this.edge = edgeTiles(db)
    this.tree = Tree.at(size, tileHashes(db, size))
  }

  append(leafHash: string): void {
    const leaf = Uint8Array.from(Buffer.from(leafHash, 'hex'))
    this.tree.append(leaf, (level, _index, hash) => {
      if (level % TILE_HEIGHT === 0) this.keep(level / TILE_HEIGHT, hash)
    })
  }

  /** Inside the transaction that also saves the position. */
  save(): void {
    for (const [level, tile] of this.edge.entries()) this.saveTile(level, tile)
  }

  private keep(level: number, hash: Uint8Array): void {
    const tile = (this.edge[level] ??= emptyTile(0))
    tile.hashes.set(hash, tile.width * HASH_BYTES)
    tile.width += 1
    tile.changed = true
    if (tile.width < TILE_WIDTH) return
    this.saveTile(level, tile)
    this.edge[level] = emptyTile(tile.index + 1)
  }

  private saveTile(level: number, tile: EdgeTile): void {
    if (!tile.changed) return
    this.write.run(level, tile.index, tile.hashes.subarray(0, tile.width * HASH_BYTES))
    tile.changed = false
  }
}

/** The hashes of one tile as they stand; undefined if there is no such tile yet. */
export function readTile(db: Sqlite.Database, level: number, index: number): Uint8Array | undefined {
  const find = db.prepare<[number, number], { hashes: Uint8Array }>(
    'SELECT hashes FROM tiles WHERE level = ? AND idx = ?',
  )
  return find.get(level, index)?.hashes
}

/** The complete subtrees of the first `size` leaves, from the table. Throws RangeError where it does not reach so far. */
export function tileHashes(db: Sqlite.Database, size: number): HashReader {
  return tileReader(size, ({ level, index, width }) => {
    const hashes = readTile(db, level as number, index)
    if (!hashes || hashes.length < width * HASH_BYTES)
      throw new RangeError(`tile ${level}/${index} is missing`)
    return hashes.subarray(0, width * HASH_BYTES)
  })
}

function edgeTiles(db: Sqlite.Database): EdgeTile[] {
  const last = db.prepare<[], { idx: number; hashes: Uint8Array }>(
    'SELECT idx, hashes, max(idx) FROM tiles GROUP BY level ORDER BY level',
  )
  return last.all().map(({ idx, hashes }) => {
    const width = hashes.length / HASH_BYTES
    const tile = emptyTile(width === TILE_WIDTH ? idx + 1 : idx)
    if (width === TILE_WIDTH) return tile
    tile.hashes.set(hashes)
    tile.width = width
    return tile
  })
}

function emptyTile(index: number): EdgeTile {
  return { index, width: 0, hashes: new Uint8Array(TILE_WIDTH * HASH_BYTES), changed: false }
}
