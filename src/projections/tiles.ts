// The ledger's Merkle tree as a table of tiles: C2SP tlog-tiles, the full ones and the one at each level's right edge.

import type Sqlite from 'better-sqlite3'

import type { HashReader } from '../domain/ledger/merkle.js'
import { TileTree } from '../domain/ledger/tile-tree.js'
import { tileLevels, tileReader } from '../domain/ledger/tiles.js'
import { HASH_BYTES } from '../domain/ledger/encoding.js'

export const TILES_SCHEMA = `
  CREATE TABLE tiles (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)
  ) STRICT, WITHOUT ROWID;
`

/** Grows with the entries. A tile at the edge is written once a batch, not once an entry. */
export class TileTable {
  private readonly write: Sqlite.Statement<[number, number, Uint8Array]>
  private readonly tree: TileTree

  constructor(db: Sqlite.Database, size: number) {
    this.write = db.prepare(
      'INSERT INTO tiles VALUES (?, ?, ?) ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes',
    )
    const rows = tileLevels(size).map(({ level, full, partial }) =>
      partial === 0 ? new Uint8Array(0) : tileOf(db, level, full, partial),
    )
    this.tree = TileTree.resume({ size, rows }, ({ level, index }, hashes) => {
      this.write.run(level as number, index, hashes)
    })
  }

  append(leafHash: string): void {
    this.tree.append(Buffer.from(leafHash, 'hex'))
  }

  /** Inside the transaction that also saves the position. */
  save(): void {
    for (const { tile, hashes } of this.tree.unfinished())
      this.write.run(tile.level as number, tile.index, hashes)
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
  return tileReader(size, ({ level, index, width }) => tileOf(db, level as number, index, width))
}

/** The first `width` hashes of a tile. */
function tileOf(db: Sqlite.Database, level: number, index: number, width: number): Uint8Array {
  const hashes = readTile(db, level, index)
  if (!hashes || hashes.length < width * HASH_BYTES) throw new RangeError(`tile ${level}/${index} is missing`)
  return hashes.subarray(0, width * HASH_BYTES)
}
