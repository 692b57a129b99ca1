import { createHash } from 'node:crypto'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { GrownTree, vastTree } from '../../../test/support/grown-tree.js'
import { mutationsOf } from '../../../test/support/mutations.js'
import { refusal } from '../../../test/support/refusal.js'
import { hex, testEntry, tlog } from '../../../test/support/tlog-vectors.js'
import { consistencyProof, hashLeaf, hashNode, inclusionProof, Tree, verifyInclusion } from './merkle.js'
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  formatTilePath,
  parseTilePath,
  type Tile,
  tileLevels,
  tileReader,
  tileWidth,
} from './tiles.js'

const SIZE = 300
const entries = Array.from({ length: SIZE }, (_, i) => testEntry(i))
const grown = new GrownTree(entries)

/** The bytes of a tile, straight from its definition: hash i is that of a complete subtree of height 8 * level. */
function tileBytes({ level, index, width }: Tile): Uint8Array {
  if (level === 'entries') return encodeBundle(entries.slice(index * 256, index * 256 + width))
  return Buffer.concat(Array.from({ length: width }, (_, i) => grown.read(8 * level, index * 256 + i)))
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const tiles = fc.record<Tile>({
  level: fc.oneof(fc.nat(63), fc.constant('entries' as const)),
  index: fc.oneof(fc.nat(3000), fc.maxSafeNat()),
  width: fc.integer({ min: 1, max: 256 }),
})

describe('paths', () => {
  test('are those of the vectors, both ways', () => {
    for (const { level, index, width, tile, entries } of tlog.paths) {
      expect(formatTilePath({ level, index, width })).toBe(tile)
      expect(parseTilePath(tile)).toEqual({ level, index, width })
      expect(formatTilePath({ level: 'entries', index, width })).toBe(entries)
      expect(parseTilePath(entries)).toEqual({ level: 'entries', index, width })
    }
  })

  test('every tile has a path that reads back', () => {
    fc.assert(fc.property(tiles, (tile) => expect(parseTilePath(formatTilePath(tile))).toEqual(tile)))
  })

  test.each([
    '',
    'tile',
    'tile/',
    'tile/0',
    'tile/0/',
    '/tile/0/000',
    'tile/0/000/',
    'tile/0/000 ',
    'tile/0/000\n',
    ' tile/0/000',
    'tile/00/000',
    'tile/01/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/100/000',
    'tile/data/000',
    'tile/ENTRIES/000',
    'tile/8/0/000',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/1000',
    'tile/0/x000/001',
    'tile/0/001/000',
    'tile/0/x001/x000',
    'tile/0/x01/000',
    'tile/0/X001/000',
    'tile/0/x001//000',
    'tile/0/x000/x001/000',
    'tile/0/x009/x007/x199/x254/x740/992',
    'tile/0/x001/x000/x000/x000/x000/x000/000',
    'tile/0/000.p/0',
    'tile/0/000.p/00',
    'tile/0/000.p/01',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/1000',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/000.p/-1',
    'tile/0/000.p/1/',
    'tile/0/000.P/1',
    'tile/0/000.p/1.p/1',
    'tile/../checkpoint',
    'tile/0/../000',
    'tile/0/..',
    'tile/0/x../000',
    'tile/%30/000',
    'tile/0/%2e%2e',
    'tile\\0\\000',
    'tile/0/٠٠٠',
    'tile/0/000\0',
    'tile/0/000?x',
  ])('%j is no path of a tile', (path) => {
    expect(refusal(() => parseTilePath(path))).toBe('bad-path')
  })

  test('what is read prints back: no second text names the same tile', () => {
    const mutated = tiles.chain((tile) => mutationsOf(formatTilePath(tile)))
    fc.assert(
      fc.property(mutated, (path) => {
        if (refusal(() => parseTilePath(path)) === undefined)
          expect(formatTilePath(parseTilePath(path))).toBe(path)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('what a size implies', () => {
  test('is what the vectors say', () => {
    for (const [size, levels] of Object.entries(tlog.tilesForSize))
      expect(tileLevels(Number(size))).toEqual(levels)
  })

  test('the width of each tile agrees with the list of levels', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(100_000), fc.maxSafeNat()), (size) => {
        for (const { level, full, partial } of tileLevels(size)) {
          const widths = [full - 1, full, full + 1]
            .filter((index) => index >= 0)
            .map((i) => tileWidth(level, i, size))
          expect(widths).toEqual(full > 0 ? [256, partial, 0] : [partial, 0])
        }
        expect(tileWidth(8, 0, size)).toBe(0)
        expect(tileWidth('entries', 0, size)).toBe(tileWidth(0, 0, size))
      }),
    )
  })

  test('holds beyond 2^32', () => {
    expect(tileLevels(2 ** 32 + 1).slice(0, 2)).toEqual([
      { level: 0, full: 2 ** 24, partial: 1 },
      { level: 1, full: 2 ** 16, partial: 0 },
    ])
    expect(tileLevels(2 ** 53 - 1).at(-1)).toEqual({ level: 6, full: 0, partial: 31 })
    expect(tileWidth(0, 2 ** 24, 2 ** 32 + 1)).toBe(1)
    expect(parseTilePath('tile/0/x016/x777/216.p/1')).toEqual({ level: 0, index: 2 ** 24, width: 1 })
  })
})

describe('contents', () => {
  test('the tiles of a tree are those of the vectors', () => {
    for (const [name, expected] of Object.entries(tlog.tiles)) {
      const [, path, form] = name.split(':') as [string, string, string]
      const bytes = tileBytes(parseTilePath(path))
      expect(form === 'hex' ? hex(bytes) : sha256(bytes)).toBe(expected)
    }
  })

  test('a tile has exactly as many hashes as its path says', () => {
    const bytes = tileBytes({ level: 0, index: 0, width: 7 })
    expect(decodeTile(bytes, 7)).toEqual(grown.leaves.slice(0, 7))
    expect(refusal(() => decodeTile(bytes, 8))).toBe('truncated')
    expect(refusal(() => decodeTile(bytes, 6))).toBe('too-large')
    expect(refusal(() => decodeTile(bytes.subarray(1), 7))).toBe('truncated')
  })

  test('every hash and every proof read from tiles is that of the tree, at every size', () => {
    for (let size = 1; size <= SIZE; size += 7) {
      const read = tileReader(size, tileBytes)
      expect(Tree.at(size, read).root()).toEqual(grown.rootAt(size))
      for (let at = 0; at < size; at += 13) {
        expect(inclusionProof(at, size, read)).toEqual(inclusionProof(at, size, grown.read))
        expect(consistencyProof(at, size, read)).toEqual(consistencyProof(at, size, grown.read))
      }
    }
  })

  test('a reader asks only for tiles that the size implies, and refuses a tile of another width', () => {
    const asked: string[] = []
    const read = tileReader(SIZE, (tile) => {
      asked.push(formatTilePath(tile))
      return tileBytes(tile)
    })
    Tree.at(SIZE, read)
    inclusionProof(299, SIZE, read)
    expect([...new Set(asked)].sort()).toEqual(['tile/0/001.p/44', 'tile/1/000.p/1'])
    expect(() => read(0, 300)).toThrow(RangeError)
    expect(() => read(3, 37)).toThrow(RangeError)
    const lying = tileReader(SIZE, ({ level, index }) => tileBytes({ level, index, width: 1 }))
    expect(refusal(() => lying(0, 0))).toBe('truncated')
  })

  test('a proof from a forged tile does not verify', () => {
    const forged = tileReader(SIZE, (tile) => {
      const bytes = Uint8Array.from(tileBytes(tile))
      bytes[40] = (bytes[40] as number) ^ 1
      return bytes
    })
    const proof = inclusionProof(0, SIZE, forged)
    expect(verifyInclusion(grown.leafAt(0), 0, grown.head(SIZE), proof)).toBe(false)
  })

  test('proofs of a tree beyond 2^32 can be read from tiles', () => {
    const [size, index] = [2 ** 40 + 70_001, 2 ** 33 + 5]
    const odd = hashLeaf(testEntry(1))
    const nodes = vastTree(hashLeaf(testEntry(0)), { leaf: odd, index }, hashNode)
    const read = tileReader(size, ({ level, index, width }) =>
      Buffer.concat(Array.from({ length: width }, (_, i) => nodes(8 * Number(level), index * 256 + i))),
    )
    expect(verifyInclusion(odd, index, Tree.at(size, nodes).head(), inclusionProof(index, size, read))).toBe(
      true,
    )
  })
})

describe('entry bundles', () => {
  test('are those of the vectors', () => {
    expect(hex(encodeBundle(entries.slice(0, 3)))).toBe(tlog.bundles['first3Hex'])
    expect(sha256(encodeBundle(entries.slice(0, 7)))).toBe(tlog.bundles['7:sha256'])
    expect(sha256(encodeBundle(entries.slice(0, 256)))).toBe(tlog.bundles['300:tile/entries/000:sha256'])
    expect(sha256(encodeBundle(entries.slice(256)))).toBe(tlog.bundles['300:tile/entries/001.p/44:sha256'])
    const tessera = encodeBundle(['one', 'two', 'three'].map((text) => Buffer.from(text)))
    expect(hex(tessera)).toBe('00036f6e65000374776f00057468726565')
  })

  test('come back as they were, entry by entry', () => {
    const entry = fc.uint8Array({ maxLength: 40 })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        expect(decodeBundle(encodeBundle(entries), entries.length)).toEqual(entries)
      }),
    )
  })

  test('have one form: what bytes are read print back to the same', () => {
    const cut = fc.array(fc.uint8Array({ maxLength: 6 }), { maxLength: 5 }).map((some) => encodeBundle(some))
    const changed = fc
      .tuple(cut, fc.nat(), fc.nat(255))
      .map(([bytes, at, byte]) =>
        bytes.length === 0 ? bytes : Uint8Array.from(bytes).with(at % bytes.length, byte),
      )
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 12 })), fc.nat(6), (bytes, width) => {
        if (refusal(() => decodeBundle(bytes, width)) !== undefined) return
        expect(hex(encodeBundle(decodeBundle(bytes, width)))).toBe(hex(bytes))
      }),
      { numRuns: 1000 },
    )
  })

  test('are refused when they hold fewer or more entries than their path says, or break off', () => {
    const bundle = encodeBundle(entries.slice(0, 3))
    expect(refusal(() => decodeBundle(bundle, 4))).toBe('truncated')
    expect(refusal(() => decodeBundle(bundle, 2))).toBe('too-large')
    expect(refusal(() => decodeBundle(Buffer.concat([bundle, Buffer.of(0)]), 3))).toBe('too-large')
    for (let length = 0; length < bundle.length; length++) {
      expect(refusal(() => decodeBundle(bundle.subarray(0, length), 3))).toBe('truncated')
    }
  })

  test('hold entries of 65,535 bytes and no longer', () => {
    const longest = new Uint8Array(65_535).fill(7)
    expect(decodeBundle(encodeBundle([longest]), 1)).toEqual([longest])
    expect(refusal(() => encodeBundle([new Uint8Array(65_536)]))).toBe('too-large')
  })
})
