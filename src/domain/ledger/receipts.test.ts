import { expect, test } from '@jest/globals'
import { sha256 } from '#sha256'

import { inclusionProof, Tree, verifyInclusion } from './merkle.js'
import { formatProof, parseProof } from './proof.js'
import { type ReceiptParts, Receipts } from './receipts.js'
import { encodeBase64, utf8 } from './encoding.js'
import { parseSignedCheckpoint } from './checkpoint.js'

const leafAt = (index: number) => sha256(utf8(`leaf ${index}`))

function grown(size: number) {
  const tree = new Tree()
  const kept = new Map<string, Uint8Array>()
  for (let i = 0; i < size; i += 1)
    tree.append(leafAt(i), (level, index, hash) => kept.set(`${level}/${index}`, hash))
  let reads = 0
  const read = (level: number, index: number) => {
    reads += 1
    return kept.get(`${level}/${index}`) as Uint8Array
  }
  return { head: tree.head(), read, kept, reads: () => reads }
}

/** No one's signature: what is looked at here is the way to the root. */
const checkpointOf = ({ size, root }: { size: number; root: Uint8Array }) =>
  `log\n${size}\n${encodeBase64(root)}\n\n— log ${encodeBase64(new Uint8Array(68))}\n`
const EXTRA = utf8('{"an":"entry"}')
const partsOf = (index: number, checkpointText: string): ReceiptParts => ({
  ...{ index, leafHash: leafAt(index), extra: encodeBase64(EXTRA), checkpointText },
})

test.each([...Array.from({ length: 70 }, (_, i) => i + 1), 127, 128, 129, 1_000])(
  'in a tree of %i, every receipt is the one that is made alone, in whatever order they are asked for',
  (size) => {
    const { head, read } = grown(size)
    const checkpointText = checkpointOf(head)
    const checkpoint = parseSignedCheckpoint(checkpointText)
    const receipts = new Receipts(head, read)
    const indexes = Array.from({ length: size }, (_, i) => (i * 7919) % size)
    for (const index of [...indexes, ...indexes.map((_, i) => i)]) {
      const text = receipts.receipt(partsOf(index, checkpointText))
      const path = inclusionProof(index, size, read)
      expect(text).toBe(formatProof({ extra: EXTRA, index, path, checkpoint }))
      expect(verifyInclusion(leafAt(index), index, head, parseProof(text).path)).toBe(true)
    }
  },
)

test('what neighbours share is read once', () => {
  const { head, read, reads } = grown(1_000)
  const receipts = new Receipts(head, read)
  const checkpointText = checkpointOf(head)
  for (let i = 900; i < 1_000; i += 1) receipts.receipt(partsOf(i, checkpointText))
  const first = reads()
  for (let i = 900; i < 1_000; i += 1) receipts.receipt(partsOf(i, checkpointText))
  expect([first < 300, reads()]).toEqual([true, first])
})

test('a hash that is not the tree’s, a leaf that is not there, another root: no receipt', () => {
  const { head, read, kept } = grown(100)
  const checkpointText = checkpointOf(head)
  const receipts = () => new Receipts(head, read)
  const parts = partsOf(37, checkpointText)
  expect(() => receipts().receipt({ ...parts, leafHash: leafAt(38) })).toThrow('do not verify at size 100')
  expect(() => new Receipts({ ...head, root: leafAt(0) }, read).receipt(parts)).toThrow('do not verify')
  const good = receipts().receipt(parts)
  const onTheWay = new Set<string>()
  inclusionProof(37, 100, (level, index) => {
    onTheWay.add(`${level}/${index}`)
    return read(level, index)
  })
  expect(onTheWay.size).toBeGreaterThan(6)
  for (const [at, hash] of kept) {
    kept.set(at, leafAt(100))
    if (onTheWay.has(at)) expect(() => receipts().receipt(parts)).toThrow('do not verify at size 100')
    else expect([good, 'refused']).toContain(receiptOr(() => receipts().receipt(parts)))
    kept.set(at, hash)
  }
})

/** A receipt that is given is the right one: nodes on the leaf's own way are read too, and may be found wrong. */
function receiptOr(give: () => string): string {
  try {
    return give()
  } catch (error) {
    expect((error as Error).message).toContain('do not verify')
    return 'refused'
  }
}

test('an index beyond the tree is refused', () => {
  const { head, read } = grown(5)
  for (const index of [-1, 5, 0.5, NaN])
    expect(() => new Receipts(head, read).receipt({ ...partsOf(0, ''), index })).toThrow(RangeError)
  expect(() => new Receipts({ size: 0, root: leafAt(0) }, read).receipt(partsOf(0, ''))).toThrow(RangeError)
})
