import { type HashReader, Tree } from './merkle.js'
import { decodeTile, subtreeRoot, type Tile, TILE_WIDTH, tileLevels, tileReader } from './tiles.js'
import { FormatError, HASH_BYTES } from './encoding.js'

/** Where a tree can be taken up again. `rows` are the hashes of the unfinished tile of each level. */
export interface TileTreeState {
  size: number
  rows: readonly Uint8Array[]
}

/** The unfinished tile of a level, with room for all of it. */
interface Row {
  hashes: Uint8Array
  width: number
  index: number
}

/**
 * A tree that is only appended to, kept as C2SP tlog-tiles cuts it: each tile that a log of these leaves must serve is
 * handed out once it is full, and those that are not yet are in `unfinished()`.
 */
export class TileTree {
  private leaves = 0
  private readonly rows: Row[] = []

  constructor(private readonly full: (tile: Tile, hashes: Uint8Array) => void) {}

  /** Throws FormatError when the rows are not those of a tree of that size. */
  static resume({ size, rows }: TileTreeState, full: (tile: Tile, hashes: Uint8Array) => void): TileTree {
    const tree = new TileTree(full)
    const levels = tileLevels(size)
    if (rows.length !== levels.length)
      throw new FormatError('truncated', 'tree: the rows do not belong to its size')
    for (const [i, { full: index, partial: width }] of levels.entries()) {
      const row = rows[i] as Uint8Array
      decodeTile(row, width)
      const hashes = emptyTile()
      hashes.set(row)
      tree.rows.push({ hashes, width, index })
    }
    tree.leaves = size
    return tree
  }

  get size(): number {
    return this.leaves
  }

  /** Copies `leaf`. */
  append(leaf: Uint8Array): void {
    this.put(0, leaf)
    this.leaves += 1
  }

  root(): Uint8Array {
    // What makes up the right edge of a tree is always in the last tile of its level.
    const read: HashReader = tileReader(this.leaves, ({ level, width }) =>
      this.hashes(this.rows[level as number] as Row, width),
    )
    return Tree.at(this.leaves, read).root()
  }

  unfinished(): { tile: Tile; hashes: Uint8Array }[] {
    return this.rows.flatMap((row, level) =>
      row.width === 0
        ? []
        : [{ tile: { level, index: row.index, width: row.width }, hashes: this.hashes(row, row.width) }],
    )
  }

  state(): TileTreeState {
    return { size: this.leaves, rows: this.rows.map((row) => this.hashes(row, row.width)) }
  }

  private put(level: number, hash: Uint8Array): void {
    const row = (this.rows[level] ??= { hashes: emptyTile(), width: 0, index: 0 })
    row.hashes.set(hash, row.width * HASH_BYTES)
    row.width += 1
    if (row.width < TILE_WIDTH) return
    this.rows[level] = { hashes: emptyTile(), width: 0, index: row.index + 1 }
    this.put(level + 1, subtreeRoot(row.hashes))
    this.full({ level, index: row.index, width: TILE_WIDTH }, row.hashes)
  }

  private hashes(row: Row, width: number): Uint8Array {
    return row.hashes.slice(0, width * HASH_BYTES)
  }
}

function emptyTile(): Uint8Array {
  return new Uint8Array(TILE_WIDTH * HASH_BYTES)
}
