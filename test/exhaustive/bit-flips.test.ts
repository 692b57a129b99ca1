import { expect, test } from '@jest/globals'

import { hashLeaf } from '../../src/domain/ledger/merkle.js'
import { testEntry, tlog, unbase64 } from '../support/tlog-vectors.js'
import { flipBits, KINDS, LARGEST, REAL, type Verifiers } from './bit-flips.js'

const EVERY_BIT = Array.from({ length: 256 }, (_, bit) => bit)

/** Up to here every bit is flipped. Above it `npm run test:exhaustive` does so: that takes minutes. */
const SMALL = 16

test.each(KINDS)('%s: no bit of a proof, leaf or root can change, up to size 16', (kind) => {
  for (let size = 0; size <= SMALL; size++) expect(flipBits(kind, size, () => EVERY_BIT).wrong).toEqual([])
})

test.each(KINDS)('%s: no hash of any proof up to size 130 can change, one bit in each', (kind) => {
  let [proofs, wrong] = [0, [] as string[]]
  for (let size = 0; size <= LARGEST; size++) {
    const flipped = flipBits(kind, size, (proof) => [((size + proof) * 37) % 256])
    proofs += flipped.proofs
    wrong = [...wrong, ...flipped.wrong]
  }
  const oldSizes = { inclusion: (130 * 131) / 2, consistency: (131 * 132) / 2 }
  expect({ proofs, wrong }).toEqual({ proofs: oldSizes[kind], wrong: [] })
})

/** Verifiers that look at everything but one hash, and take that one to be as it should. */
const BLIND: Verifiers = {
  inclusion: (_leaf, index, head, proof) => REAL.inclusion(hashLeaf(testEntry(index)), index, head, proof),
  consistency: (older, newer, proof) =>
    REAL.consistency({ ...older, root: unbase64(tlog.roots[older.size] as string) }, newer, proof),
}

test.each([
  ['inclusion', 'inclusion 0 7 hash 3 bit 0'],
  ['consistency', 'consistency 0 7 hash 0 bit 0'],
] as const)('%s: a verifier that does not look at one of the hashes is found out', (kind, first) => {
  const { proofs, wrong } = flipBits(kind, 7, () => EVERY_BIT, BLIND)
  expect([wrong[0], wrong.length]).toEqual([first, proofs * 256])
})
