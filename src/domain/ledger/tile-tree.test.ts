import { describe, expect, test } from '@jest/globals'

import { GrownTree } from '../../../test/support/grown-tree.js'
import { hex, testEntry, tlog } from '../../../test/support/tlog-vectors.js'

import { Tree } from './merkle.js'
import { TileTree, type TileTreeState } from './tile-tree.js'
import { formatTilePath, tileLevels, tileReader } from './tiles.js'
import { FormatError } from './encoding.js'

const SIZE = 600
const grown = new GrownTree(Array.from({ length: SIZE }, (_, i) => testEntry(i)))

/** A tree of `size` leaves, from `state` on, with all tiles that it made. */
function tiled(size: number, state?: TileTreeState): { tree: TileTree; tiles: Map<string, Uint8Array> } {
  const tiles = new Map<string, Uint8Array>()
  const keep = (tile: Parameters<typeof formatTilePath>[0], hashes: Uint8Array): void =>
    void tiles.set(formatTilePath(tile), hashes)
  const tree = state ? TileTree.resume(state, keep) : new TileTree(keep)
  for (let i = tree.size; i < size; i += 1) tree.append(grown.leafAt(i))
  for (const { tile, hashes } of tree.unfinished()) keep(tile, hashes)
  return { tree, tiles }
}

test('has the root of the Merkle tree at every size', () => {
  const tree = new TileTree(() => undefined)
  expect(hex(tree.root())).toBe(tlog.hashing.emptyRoot)
  for (let size = 1; size <= SIZE; size += 1) {
    tree.append(grown.leafAt(size - 1))
    expect(hex(tree.root())).toBe(hex(grown.rootAt(size)))
  }
})

test('makes the tiles that a tree of its size implies, from which the root is read again', () => {
  for (const size of [1, 255, 256, 257, 512, 600]) {
    const { tiles } = tiled(size)
    const implied = tileLevels(size).flatMap(({ level, full, partial }) => [
      ...Array.from({ length: full }, (_, index) => ({ level, index, width: 256 })),
      ...(partial > 0 ? [{ level, index: full, width: partial }] : []),
    ])
    expect([...tiles.keys()].sort()).toEqual(implied.map(formatTilePath).sort())
    const read = tileReader(size, (tile) => tiles.get(formatTilePath(tile)) as Uint8Array)
    expect(hex(Tree.at(size, read).root())).toBe(hex(grown.rootAt(size)))
  }
})

test('past 65,536 leaves has three levels, and goes on from its state as if it had never stopped', () => {
  const leaf = (i: number): Uint8Array => new Uint8Array(32).fill(i % 251)
  const whole = new TileTree(() => undefined)
  const plain = new Tree()
  const states = new Map<number, TileTreeState>()
  for (let i = 0; i < 66_000; i += 1) {
    if (i % 13_312 === 0 || i === 65_536) states.set(i, structuredClone(whole.state()))
    whole.append(leaf(i))
    plain.append(leaf(i))
  }
  expect(hex(whole.root())).toBe(hex(plain.root()))
  expect(whole.unfinished().map(({ tile }) => formatTilePath(tile))).toEqual([
    ...['tile/0/257.p/208', 'tile/1/001.p/1', 'tile/2/000.p/1'],
  ])
  for (const [size, state] of states) {
    const resumed = TileTree.resume(state, () => undefined)
    for (let i = size; i < 66_000; i += 1) resumed.append(leaf(i))
    expect(resumed.state()).toEqual(whole.state())
  }
})

test('what it handed out is not changed afterwards', () => {
  const { tree, tiles } = tiled(300)
  const before = [...tiles.values()].map(hex)
  for (let i = 300; i < SIZE; i += 1) tree.append(grown.leafAt(i))
  expect([...tiles.values()].slice(0, before.length).map(hex).join() === before.join()).toBe(true)
})

describe('does not resume', () => {
  const { rows } = tiled(512).tree.state()
  test.each<[string, TileTreeState]>([
    ['within a tile', { size: 300, rows }],
    ['with a row too few', { size: 512, rows: rows.slice(1) }],
    ['with a row too many', { size: 512, rows: [...rows, new Uint8Array(32)] }],
    ['with a row too short', { size: 512, rows: [rows[0]!, rows[1]!.subarray(32)] }],
    ['at another size', { size: 768, rows }],
  ])('%s', (_, state) => {
    expect(() => TileTree.resume(state, () => undefined)).toThrow(FormatError)
  })
})
