// Every inclusion and consistency proof of small trees, with bits of its hashes, leaf and roots flipped one at a time.

import {
  consistencyProof,
  inclusionProof,
  type TreeHead,
  verifyConsistency,
  verifyInclusion,
} from '../../src/domain/ledger/merkle.js'
import { GrownTree } from '../support/grown-tree.js'
import { testEntry } from '../support/tlog-vectors.js'

/** The sizes that are gone through: 0 to this one. */
export const LARGEST = 130

export const KINDS = ['inclusion', 'consistency'] as const
export type Kind = (typeof KINDS)[number]

export interface Verifiers {
  inclusion: typeof verifyInclusion
  consistency: typeof verifyConsistency
}

export const REAL: Verifiers = { inclusion: verifyInclusion, consistency: verifyConsistency }

/** What came of all proofs of one kind into the tree of one size. */
export interface Flipped {
  proofs: number
  flips: number
  /** Proofs that do not hold as they are, and flips that were not noticed: "inclusion 3 7 hash 2 bit 41". */
  wrong: string[]
}

interface Proof {
  name: string
  /** All that the verifier must look at, and may be changed in place: proof, roots, leaf. */
  hashes: readonly Uint8Array[]
  holds: () => boolean
}

const grown = new GrownTree(Array.from({ length: LARGEST }, (_, i) => testEntry(i)))

/** `bits` says which of a hash's 256 bits are flipped; it is asked for each proof. */
export function flipBits(
  kind: Kind,
  size: number,
  bits: (proof: number) => readonly number[],
  verifiers = REAL,
): Flipped {
  const flipped: Flipped = { proofs: 0, flips: 0, wrong: [] }
  const proofs = kind === 'inclusion' ? inclusions(size, verifiers) : consistencies(size, verifiers)
  for (const { name, hashes, holds } of proofs) {
    if (!holds()) flipped.wrong.push(`${name} does not hold`)
    const chosen = bits(flipped.proofs)
    for (const [nth, hash] of hashes.entries()) {
      for (const bit of chosen) {
        if (holdsWithout(bit, hash, holds)) flipped.wrong.push(`${name} hash ${nth} bit ${bit}`)
      }
    }
    flipped.proofs += 1
    flipped.flips += hashes.length * chosen.length
  }
  return flipped
}

function holdsWithout(bit: number, hash: Uint8Array, holds: () => boolean): boolean {
  const [at, mask] = [bit >>> 3, 1 << (bit & 7)]
  hash[at] = (hash[at] as number) ^ mask
  const held = holds()
  hash[at] = hash[at] ^ mask
  return held
}

function* inclusions(size: number, { inclusion }: Verifiers): Generator<Proof> {
  const head = headAt(size)
  for (let index = 0; index < size; index++) {
    const leaf = grown.leafAt(index).slice()
    const proof = copies(inclusionProof(index, size, grown.read))
    yield {
      name: `inclusion ${index} ${size}`,
      hashes: [...proof, leaf, head.root],
      holds: () => inclusion(leaf, index, head, proof),
    }
  }
}

function* consistencies(size: number, { consistency }: Verifiers): Generator<Proof> {
  const newer = headAt(size)
  for (let oldSize = 0; oldSize <= size; oldSize++) {
    const older = headAt(oldSize)
    const proof = copies(consistencyProof(oldSize, size, grown.read))
    yield {
      name: `consistency ${oldSize} ${size}`,
      // Every tree begins with the empty one: from there a proof says nothing of the newer root.
      hashes: [...proof, older.root, ...(oldSize === 0 && size > 0 ? [] : [newer.root])],
      holds: () => consistency(older, newer, proof),
    }
  }
}

function headAt(size: number): TreeHead {
  return { size, root: grown.rootAt(size).slice() }
}

function copies(hashes: readonly Uint8Array[]): Uint8Array[] {
  return hashes.map((hash) => hash.slice())
}
