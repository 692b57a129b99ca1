// The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1.1), with its proofs.
// Sizes go to 2^53-1, so there is no bit operator here: those cut off at 32 bits.

import { sha256 } from '#sha256'

import { HASH_BYTES, sameBytes } from './encoding.js'

/** What a checkpoint says of a tree. */
export interface TreeHead {
  size: number
  root: Uint8Array
}

/**
 * Gives the root of the complete subtree over leaves [index * 2^level, (index + 1) * 2^level). It is asked only for
 * subtrees that are complete at the size in question, and what it gives is not changed afterwards.
 */
export type HashReader = (level: number, index: number) => Uint8Array

/** Gets every complete subtree once, leaves (level 0) first: what a HashReader gives back later. */
export type HashSink = (level: number, index: number, hash: Uint8Array) => void

export const EMPTY_ROOT = sha256(new Uint8Array(0))

/** SHA-256(0x00 ‖ entry). */
export function hashLeaf(entry: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + entry.length)
  input.set(entry, 1)
  return sha256(input)
}

const LEFT = 1
const RIGHT = LEFT + HASH_BYTES
const node = new Uint8Array(RIGHT + HASH_BYTES)
node[0] = 0x01

/** SHA-256(0x01 ‖ left ‖ right). */
export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  // A shorter hash would leave bytes of the last call in the buffer.
  mustBeHash(left)
  mustBeHash(right)
  node.set(left, LEFT)
  node.set(right, RIGHT)
  return sha256(node)
}

/** The same of two hashes that lie one behind the other. */
export function hashPair(pair: Uint8Array): Uint8Array {
  if (pair.length !== 2 * HASH_BYTES) throw new RangeError('a pair is two hashes')
  node.set(pair, LEFT)
  return sha256(node)
}

/** A tree that is only appended to: of each complete subtree at its right edge, the root. About two hashes a leaf. */
export class Tree {
  private leaves = 0
  /** One for each 1 bit of the size, the largest subtree first. */
  private peaks: Uint8Array[] = []

  /** The tree of the first `size` leaves, from kept hashes. Hashes from another party must be checked against root(). */
  static at(size: number, read: HashReader): Tree {
    const tree = new Tree()
    tree.peaks = completeSubtrees(0, size, read)
    tree.leaves = size
    return tree
  }

  get size(): number {
    return this.leaves
  }

  /** Keeps `leaf` itself: it must not change afterwards. */
  append(leaf: Uint8Array, completed?: HashSink): void {
    mustBeHash(leaf)
    let hash = leaf
    let level = 0
    let index = this.leaves
    completed?.(level, index, hash)
    // Each 1 bit at the low end of the size is a subtree that finds its right half here.
    while (index % 2 === 1) {
      hash = hashNode(this.peaks.pop() as Uint8Array, hash)
      level += 1
      index = (index - 1) / 2
      completed?.(level, index, hash)
    }
    this.peaks.push(hash)
    this.leaves += 1
  }

  root(): Uint8Array {
    return fold(this.peaks)
  }

  head(): TreeHead {
    return { size: this.leaves, root: this.root() }
  }
}

/** PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf's sibling up. */
export function inclusionProof(index: number, size: number, read: HashReader): Uint8Array[] {
  if (!isCount(size) || !isCount(index) || index >= size)
    throw new RangeError('the index must be below the size')
  const proof: Uint8Array[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    if (index < middle) {
      proof.push(rangeHash(middle, end, read))
      end = middle
    } else {
      proof.push(rangeHash(start, middle, read))
      start = middle
    }
  }
  return proof.reverse()
}

/** PROOF(oldSize, D[size]) of RFC 6962 section 2.1.2. From size 0, and between equal sizes, it is empty. */
export function consistencyProof(oldSize: number, size: number, read: HashReader): Uint8Array[] {
  if (!isCount(size) || !isCount(oldSize) || oldSize > size) {
    throw new RangeError('the old size must be no larger than the size')
  }
  const proof: Uint8Array[] = []
  if (oldSize === 0) return proof
  let [start, end] = [0, size]
  while (end !== oldSize) {
    const middle = start + splitOf(end - start)
    if (oldSize <= middle) {
      proof.push(rangeHash(middle, end, read))
      end = middle
    } else {
      proof.push(rangeHash(start, middle, read))
      start = middle
    }
  }
  // Where the old tree is itself a subtree of the new one, the verifier starts from the old root.
  if (start !== 0) proof.push(rangeHash(start, end, read))
  return proof.reverse()
}

/** Whether `proof` shows that `leaf`, a leaf hash, is at `index` in the tree of `head`. RFC 9162 section 2.1.3.2. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  head: TreeHead,
  proof: readonly Uint8Array[],
): boolean {
  if (!isCount(head.size) || !isCount(index) || index >= head.size || ![leaf, ...proof].every(isHash))
    return false
  let at: Position = { index, last: head.size - 1 }
  let root = leaf
  for (const hash of proof) {
    if (at.last === 0) return false
    if (isRightOrLast(at)) {
      root = hashNode(hash, root)
      at = upWhileLeft(at)
    } else {
      root = hashNode(root, hash)
    }
    at = up(at)
  }
  return at.last === 0 && sameBytes(root, head.root)
}

/** Whether `proof` shows that the tree of `newer` begins with all leaves of `older`. RFC 9162 section 2.1.4.2. */
export function verifyConsistency(older: TreeHead, newer: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (!isCount(older.size) || !isCount(newer.size) || older.size > newer.size || !proof.every(isHash))
    return false
  if (newer.size === 0 && !sameBytes(newer.root, EMPTY_ROOT)) return false
  // Every tree begins with the empty one, but a head of size 0 with leaves in its root is a lie.
  if (older.size === 0) return proof.length === 0 && sameBytes(older.root, EMPTY_ROOT)
  if (older.size === newer.size) return proof.length === 0 && sameBytes(older.root, newer.root)

  const path = largestSubtree(older.size).leaves === older.size ? [older.root, ...proof] : proof
  const [first, ...rest] = path
  if (first === undefined || !isHash(first)) return false
  let at: Position = { index: older.size - 1, last: newer.size - 1 }
  while (at.index % 2 === 1) at = up(at)
  let [oldRoot, newRoot] = [first, first]
  for (const hash of rest) {
    if (at.last === 0) return false
    if (isRightOrLast(at)) {
      oldRoot = hashNode(hash, oldRoot)
      newRoot = hashNode(hash, newRoot)
      at = upWhileLeft(at)
    } else {
      newRoot = hashNode(newRoot, hash)
    }
    at = up(at)
  }
  return at.last === 0 && sameBytes(oldRoot, older.root) && sameBytes(newRoot, newer.root)
}

/** A node on the way up, and the last node of its level: fn and sn in RFC 9162. */
interface Position {
  index: number
  last: number
}

function up({ index, last }: Position): Position {
  return { index: Math.floor(index / 2), last: Math.floor(last / 2) }
}

function isRightOrLast({ index, last }: Position): boolean {
  return index % 2 === 1 || index === last
}

/** The last node of a level may have no sibling on the levels above: it is carried up until it has one. */
function upWhileLeft(at: Position): Position {
  while (at.index % 2 === 0 && at.index !== 0) at = up(at)
  return at
}

/** MTH(D[start:end]), for the ranges that the recursion of RFC 6962 makes. */
function rangeHash(start: number, end: number, read: HashReader): Uint8Array {
  return fold(completeSubtrees(start, end, read))
}

/** The roots of the complete subtrees that [start, end) consists of, the largest first. */
function completeSubtrees(start: number, end: number, read: HashReader): Uint8Array[] {
  const roots: Uint8Array[] = []
  for (let at = start; at < end;) {
    const { leaves, level } = largestSubtree(end - at)
    roots.push(read(level, at / leaves))
    at += leaves
  }
  return roots
}

function fold(roots: readonly Uint8Array[]): Uint8Array {
  return roots.length === 0 ? EMPTY_ROOT : roots.reduceRight((right, left) => hashNode(left, right))
}

/** The largest power of two no larger than `count`. Math.log2 is off by one near 2^53. */
export function largestSubtree(count: number): { leaves: number; level: number } {
  let [leaves, level] = [1, 0]
  while (leaves * 2 <= count) {
    leaves *= 2
    level += 1
  }
  return { leaves, level }
}

/** The largest power of two below `count`, where RFC 6962 splits a tree. */
export function splitOf(count: number): number {
  return largestSubtree(count - 1).leaves
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isHash(hash: Uint8Array): boolean {
  return hash.length === HASH_BYTES
}

function mustBeHash(hash: Uint8Array): void {
  if (!isHash(hash)) throw new RangeError(`a hash has ${HASH_BYTES} bytes, not ${hash.length}`)
}
