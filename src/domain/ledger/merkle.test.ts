import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { GrownTree, vastTree } from '../../../test/support/grown-tree.js'
import { base64, hex, testEntry, tlog, unbase64, unhex } from '../../../test/support/tlog-vectors.js'
import {
  consistencyProof,
  EMPTY_ROOT,
  hashLeaf,
  hashNode,
  type HashReader,
  inclusionProof,
  Tree,
  verifyConsistency,
  verifyInclusion,
} from './merkle.js'

const LARGEST = 130
const grown = new GrownTree(Array.from({ length: 300 }, (_, i) => testEntry(i)))

test('the hashes of leaves and nodes are those of the vectors', () => {
  const { emptyRoot, leafOfEmpty, leaf0, leaf1, node01 } = tlog.hashing
  expect(hex(EMPTY_ROOT)).toBe(emptyRoot)
  expect(hex(hashLeaf(new Uint8Array(0)))).toBe(leafOfEmpty)
  expect(hex(hashLeaf(testEntry(0)))).toBe(leaf0)
  expect(hex(hashLeaf(testEntry(1)))).toBe(leaf1)
  expect(hex(hashNode(unhex(leaf0), unhex(leaf1)))).toBe(node01)
})

test('the roots are those of the vectors, at every size', () => {
  for (const [size, root] of Object.entries(tlog.roots)) expect(base64(grown.rootAt(Number(size)))).toBe(root)
})

test('the roots are those of the reference set of Certificate Transparency', () => {
  const leaves = [
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
  ]
  const reference = new GrownTree(leaves.map(unhex))
  expect(hex(reference.rootAt(2))).toBe('fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125')
  expect(hex(reference.rootAt(7))).toBe('ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c')
  expect(hex(reference.rootAt(8))).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328')
})

test('the first root of the published tessera test log is its first leaf', () => {
  expect(base64(hashLeaf(Buffer.from('one')))).toBe('0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=')
})

test('the inclusion proofs are those of the vectors, and verify', () => {
  for (const { index, size, proof } of tlog.inclusion) {
    expect(inclusionProof(index, size, grown.read).map(base64)).toEqual(proof)
    expect(verifyInclusion(grown.leafAt(index), index, grown.head(size), proof.map(unbase64))).toBe(true)
  }
})

test('the consistency proofs are those of the vectors, and verify', () => {
  for (const { from, to, proof } of tlog.consistency) {
    expect(consistencyProof(from, to, grown.read).map(base64)).toEqual(proof)
    expect(verifyConsistency(grown.head(from), grown.head(to), proof.map(unbase64))).toBe(true)
  }
})

// That no bit of a proof, leaf or root can change is shown in test/exhaustive.

/** A proof with one hash more or less, at either end, or with two neighbours swapped. */
function misshapen(proof: readonly Uint8Array[]): Uint8Array[][] {
  const swapped = proof.slice(1).map((hash, i) => proof.with(i, hash).with(i + 1, proof[i] as Uint8Array))
  const extra = grown.leafAt(299)
  const longer = [
    [...proof, extra],
    [extra, ...proof],
    [...proof, EMPTY_ROOT],
    [...proof, ...proof.slice(-1), extra],
  ]
  return proof.length === 0 ? longer : [...longer, ...swapped, proof.slice(1), proof.slice(0, -1)]
}

test('a proof that is too long, too short or out of order is refused', () => {
  const held: string[] = []
  for (let size = 1; size <= LARGEST; size += 3) {
    for (let at = 0; at < size; at++) {
      for (const proof of misshapen(inclusionProof(at, size, grown.read))) {
        if (verifyInclusion(grown.leafAt(at), at, grown.head(size), proof))
          held.push(`inclusion ${at} ${size}`)
      }
      for (const proof of misshapen(consistencyProof(at + 1, size, grown.read))) {
        if (verifyConsistency(grown.head(at + 1), grown.head(size), proof))
          held.push(`consistency ${at + 1} ${size}`)
      }
    }
  }
  expect(held).toEqual([])
})

test('an inclusion proof holds for its own index and size only', () => {
  for (let size = 1; size <= 40; size++) {
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(index, size, grown.read)
      const accepted = Array.from({ length: size + 2 }, (_, i) => i).filter((other) =>
        verifyInclusion(grown.leafAt(index), other, grown.head(size), proof),
      )
      expect(accepted).toEqual([index])
    }
  }
})

// The root does not say the size: a log may state any. Of another shape, the proof must fail even if the hashes fit.
test('a proof is refused at every size and place that ask for more or fewer hashes, whatever the head states', () => {
  const SMALL = 14
  const held: string[] = []
  for (const { index, size } of places(SMALL)) {
    const proofs = [
      inclusionProof(index, size, grown.read),
      consistencyProof(index + 1, size, grown.read),
    ] as const
    for (const stated of places(SMALL)) {
      const head = { size: stated.size, root: grown.rootAt(size) }
      const older = { size: stated.index + 1, root: grown.rootAt(index + 1) }
      const lengths = [
        inclusionProof(stated.index, stated.size, grown.read).length,
        consistencyProof(stated.index + 1, stated.size, grown.read).length,
      ]
      if (
        lengths[0] !== proofs[0].length &&
        verifyInclusion(grown.leafAt(index), stated.index, head, proofs[0])
      ) {
        held.push(`leaf ${index} of ${size} as ${stated.index} of ${stated.size}`)
      }
      if (lengths[1] !== proofs[1].length && verifyConsistency(older, head, proofs[1])) {
        held.push(`${index + 1} to ${size} as ${stated.index + 1} to ${stated.size}`)
      }
    }
  }
  expect(held).toEqual([])
})

/** Every place in every tree up to that size. */
function places(largest: number): { index: number; size: number }[] {
  return Array.from({ length: largest }, (_, n) =>
    Array.from({ length: n + 1 }, (_, index) => ({ index, size: n + 1 })),
  ).flat()
}

test('from size 0 and between equal sizes only the empty proof holds, and the roots must be right', () => {
  const [empty, seven, other] = [grown.head(0), grown.head(7), { size: 7, root: grown.rootAt(6) }]
  expect(verifyConsistency(empty, seven, [])).toBe(true)
  expect(verifyConsistency(empty, seven, [EMPTY_ROOT])).toBe(false)
  expect(verifyConsistency({ size: 0, root: seven.root }, seven, [])).toBe(false)
  expect(verifyConsistency(empty, empty, [])).toBe(true)
  expect(verifyConsistency(empty, { size: 0, root: seven.root }, [])).toBe(false)
  expect(verifyConsistency({ size: 0, root: seven.root }, { size: 0, root: seven.root }, [])).toBe(false)
  expect(verifyConsistency(seven, seven, [])).toBe(true)
  expect(verifyConsistency(seven, seven, [seven.root])).toBe(false)
  expect(verifyConsistency(seven, other, [])).toBe(false)
  expect(verifyConsistency(grown.head(8), seven, [])).toBe(false)
})

test('what is no size, no index or no hash proves nothing', () => {
  const proof = inclusionProof(3, 7, grown.read)
  for (const index of [-1, 3.5, NaN, Infinity, 2 ** 53]) {
    expect(verifyInclusion(grown.leafAt(3), index, grown.head(7), proof)).toBe(false)
    expect(verifyConsistency({ size: index, root: EMPTY_ROOT }, grown.head(7), [])).toBe(false)
  }
  expect(verifyInclusion(grown.leafAt(3), 3, { ...grown.head(7), size: 7.5 }, proof)).toBe(false)
  expect(verifyInclusion(grown.leafAt(3).subarray(1), 3, grown.head(7), proof)).toBe(false)
  expect(verifyInclusion(grown.leafAt(3), 3, grown.head(7), proof.with(1, new Uint8Array(31)))).toBe(false)
  expect(verifyConsistency(grown.head(3), grown.head(7), [new Uint8Array(33)])).toBe(false)
  expect(() => hashNode(EMPTY_ROOT, EMPTY_ROOT.subarray(1))).toThrow(RangeError)
  expect(() => new Tree().append(new Uint8Array(31))).toThrow(RangeError)
})

test('there is no proof for what is not in the tree', () => {
  expect(() => inclusionProof(7, 7, grown.read)).toThrow(RangeError)
  expect(() => inclusionProof(0, 0, grown.read)).toThrow(RangeError)
  expect(() => inclusionProof(-1, 7, grown.read)).toThrow(RangeError)
  expect(() => consistencyProof(8, 7, grown.read)).toThrow(RangeError)
  expect(() => consistencyProof(1.5, 7, grown.read)).toThrow(RangeError)
})

test('a tree made again from kept hashes goes on like the one that never stopped', () => {
  for (let size = 0; size <= LARGEST; size++) {
    const tree = Tree.at(size, grown.read)
    expect(tree.head()).toEqual(grown.head(size))
    tree.append(grown.leafAt(size))
    expect(tree.head()).toEqual(grown.head(size + 1))
  }
})

test('appending completes each subtree once: with its own, under two hashes a leaf', () => {
  const leaf = grown.leafAt(0)
  const tree = new Tree()
  let [completed, leaves] = [0, 0]
  for (let i = 0; i < 100_000; i++) {
    tree.append(leaf, (level) => {
      if (level === 0) leaves += 1
      else completed += 1
    })
  }
  expect({ size: tree.size, leaves }).toEqual({ size: 100_000, leaves: 100_000 })
  expect(completed).toBeLessThan(100_000)
})

// Every size whose arithmetic a 32-bit operator would spoil, or where Math.log2 rounds the wrong way.
const VAST = [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 12_345, 2 ** 49 - 1, 2 ** 53 - 1]

test('sizes up to 2^53-1 have proofs that verify, for that index and no other', () => {
  const [leaf, odd] = [hashLeaf(testEntry(0)), hashLeaf(testEntry(1))]
  for (const size of VAST) {
    for (const index of [0, 2 ** 31 - 1, size - 2 ** 20, size - 2, size - 1]) {
      const read = vastTree(leaf, { leaf: odd, index }, hashNode)
      const { root } = Tree.at(size, read).head()
      const proof = inclusionProof(index, size, within(size, read))
      expect(verifyInclusion(odd, index, { size, root }, proof)).toBe(true)
      expect(verifyInclusion(odd, index === 0 ? 1 : index - 1, { size, root }, proof)).toBe(false)
      expect(verifyInclusion(leaf, index, { size, root }, proof)).toBe(false)
      // A 32-bit operator would take these for the same place.
      expect(verifyInclusion(odd, index % 2 ** 32, { size, root }, proof)).toBe(index < 2 ** 32)
    }
  }
})

test('sizes up to 2^53-1 are consistent with smaller ones', () => {
  const read = vastTree(hashLeaf(testEntry(0)), { leaf: hashLeaf(testEntry(1)), index: 5 }, hashNode)
  for (const size of VAST) {
    const newer = Tree.at(size, read).head()
    for (const oldSize of [1, 6, 2 ** 31 - 1, 2 ** 31, size - 2 ** 20, size - 1]) {
      const older = Tree.at(oldSize, read).head()
      const proof = consistencyProof(oldSize, size, within(size, read))
      expect(verifyConsistency(older, newer, proof)).toBe(oldSize <= size)
      expect(verifyConsistency({ ...older, size: oldSize + 1 }, newer, proof)).toBe(false)
    }
  }
})

/** A reader that is asked for nothing but complete subtrees. */
function within(size: number, read: HashReader): HashReader {
  return (level, index) => {
    if (!Number.isSafeInteger(index) || (index + 1) * 2 ** level > size)
      throw new Error(`asked for ${level}/${index}`)
    return read(level, index)
  }
}

test('a random list of hashes proves nothing', () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(
    fc.property(fc.nat(299), fc.nat(299), fc.array(hash, { maxLength: 10 }), (a, b, proof) => {
      const [index, size] = [Math.min(a, b), Math.max(a, b) + 1]
      if (size > 1) expect(verifyInclusion(grown.leafAt(index), index, grown.head(size), proof)).toBe(false)
      if (index + 1 < size)
        expect(verifyConsistency(grown.head(index + 1), grown.head(size), proof)).toBe(false)
    }),
  )
})
