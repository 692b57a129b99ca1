// C2SP tlog-tiles: the tree's hashes and its entries, cut into files that never change once they are full.

import { hashPair, type HashReader } from './merkle.js'
import { FormatError, HASH_BYTES } from './encoding.js'

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256

const TILE_HEIGHT = 8
const MAX_LEVEL = 63

/** A tile of hashes at `level`, or a bundle of entries. `width` is how many of them: 1 to 256, 256 when full. */
export interface Tile {
  level: number | 'entries'
  index: number
  width: number
}

/** `tile/0/x001/234`, `tile/1/000.p/17`, `tile/entries/000`. */
export function formatTilePath({ level, index, width }: Tile): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) as string[]
  const last = groups.pop() as string
  const path = `tile/${level}/${groups.map((group) => `x${group}/`).join('')}${last}`
  return width === TILE_WIDTH ? path : `${path}.p/${width}`
}

const TILE_PATH = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/

/** Throws FormatError. A tile has one path: whatever does not print back to the same text is refused. */
export function parseTilePath(path: string): Tile {
  const [, level, groups, width] = TILE_PATH.exec(path) ?? []
  if (level === undefined || groups === undefined) throw badPath()
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    index: Number(groups.replace(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  }
  if (tile.level !== 'entries' && tile.level > MAX_LEVEL) throw badPath()
  if (!Number.isSafeInteger(tile.index) || tile.width === 0 || tile.width > TILE_WIDTH) throw badPath()
  if (formatTilePath(tile) !== path) throw badPath()
  return tile
}

function badPath(): FormatError {
  return new FormatError(
    'bad-path',
    'a tile is tile/<L>/<N>[.p/<W>], an entry bundle tile/entries/<N>[.p/<W>]',
  )
}

/** How many hashes (or entries) that tile has in a tree of `size` leaves: 256 when full, 0 when there is none yet. */
export function tileWidth(level: Tile['level'], index: number, size: number): number {
  const count = countAt(level, size) - index * TILE_WIDTH
  return Math.min(Math.max(count, 0), TILE_WIDTH)
}

/** Of one level: that many full tiles, and behind them a partial one of that width (0: none). */
export interface TileLevel {
  level: number
  full: number
  partial: number
}

/** The tiles that a checkpoint of `size` implies. Bundles are as many and as wide as the tiles of level 0. */
export function tileLevels(size: number): TileLevel[] {
  const levels: TileLevel[] = []
  for (let level = 0; countAt(level, size) > 0; level++) {
    const count = countAt(level, size)
    levels.push({ level, full: Math.floor(count / TILE_WIDTH), partial: count % TILE_WIDTH })
  }
  return levels
}

/** Dividing by a power of two is exact, so this holds for every size below 2^53. */
function countAt(level: Tile['level'], size: number): number {
  return level === 'entries' ? size : Math.floor(size / TILE_WIDTH ** level)
}

/** The hashes of a tile, as views into it. Throws FormatError unless there are exactly `width`. */
export function decodeTile(bytes: Uint8Array, width: number): Uint8Array[] {
  const hashes = ofWidth(bytes, width)
  return Array.from({ length: width }, (_, i) => hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES))
}

function ofWidth(bytes: Uint8Array, width: number): Uint8Array {
  if (bytes.length === width * HASH_BYTES) return bytes
  const code = bytes.length < width * HASH_BYTES ? 'truncated' : 'too-large'
  throw new FormatError(code, `tile: ${width} hashes of ${HASH_BYTES} bytes are expected`)
}

/**
 * Reads the hashes of a tree of `size` leaves from its tiles, of which `fetch` gives the bytes. Nothing is
 * authenticated here: a proof made from forged tiles is one that does not verify.
 */
export function tileReader(size: number, fetch: (tile: Tile) => Uint8Array): HashReader {
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT)
    // Between the levels that tiles hold, a subtree is made from the hashes below it.
    const span = 2 ** (level % TILE_HEIGHT)
    const first = index * span
    const tile: Tile = { level: tileLevel, index: Math.floor(first / TILE_WIDTH), width: 0 }
    tile.width = tileWidth(tileLevel, tile.index, size)
    const offset = first % TILE_WIDTH
    if (offset + span > tile.width) throw new RangeError('the subtree is not complete in a tree of that size')
    const hashes = ofWidth(fetch(tile), tile.width)
    return subtreeRoot(hashes.subarray(offset * HASH_BYTES, (offset + span) * HASH_BYTES))
  }
}

/** Of 1, 2, 4 … 256 hashes, one behind the other. */
export function subtreeRoot(hashes: Uint8Array): Uint8Array {
  let row = hashes
  while (row.length > HASH_BYTES) {
    const above = new Uint8Array(row.length / 2)
    for (let at = 0; at < above.length; at += HASH_BYTES)
      above.set(hashPair(row.subarray(2 * at, 2 * (at + HASH_BYTES))), at)
    row = above
  }
  return row
}

const LENGTH_BYTES = 2
const MAX_LENGTH = 0xffff

/** The entries, each behind its length in two bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(entries.reduce((sum, entry) => sum + LENGTH_BYTES + entry.length, 0))
  const view = new DataView(bundle.buffer)
  let at = 0
  for (const entry of entries) {
    if (entry.length > MAX_LENGTH)
      throw new FormatError('too-large', `entry: longer than ${MAX_LENGTH} bytes`)
    view.setUint16(at, entry.length)
    bundle.set(entry, at + LENGTH_BYTES)
    at += LENGTH_BYTES + entry.length
  }
  return bundle
}

/** The `width` entries of a bundle, as views into it. Throws FormatError when it holds fewer, more or half ones. */
export function decodeBundle(bundle: Uint8Array, width: number): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength)
  const entries: Uint8Array[] = []
  let at = 0
  while (entries.length < width) {
    const start = at + LENGTH_BYTES
    const end = start <= bundle.length ? start + view.getUint16(at) : Infinity
    if (end > bundle.length)
      throw new FormatError('truncated', `entry bundle: it ends before ${width} entries`)
    entries.push(bundle.subarray(start, end))
    at = end
  }
  if (at !== bundle.length)
    throw new FormatError('too-large', `entry bundle: it goes on after ${width} entries`)
  return entries
}
