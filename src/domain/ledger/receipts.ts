// The receipts of many entries in one tree. Neighbours in the tree share most of their way to its root: what
// was hashed, checked and written down for one of them is not hashed, checked and written down again for the next.

import { hashNode, type HashReader, largestSubtree, splitOf, type TreeHead } from './merkle.js'
import { formatProofAround } from './proof.js'
import { encodeBase64, sameBytes } from './encoding.js'

/** The subtree over leaves [start, end), whose hash is known to lead to the tree's root. */
interface Proved {
  start: number
  end: number
  hash: Uint8Array
  /** The rest of a proof from here: its lines, each with its LF. */
  path: string
  halves?: readonly [Proved, Proved]
}

export interface ReceiptParts {
  index: number
  leafHash: Uint8Array
  /** Base64. */
  extra: string
  /** Signed, of this very tree. */
  checkpointText: string
}

export class Receipts {
  private readonly root: Proved
  /** MTH of [start, size): the tree's right edge, which is in no complete subtree. */
  private readonly edge = new Map<number, Uint8Array>()

  /** `read` gives the hashes of the tree's complete subtrees. */
  constructor(
    readonly head: TreeHead,
    private readonly read: HashReader,
  ) {
    this.root = { start: 0, end: head.size, hash: head.root, path: '' }
  }

  /**
   * A C2SP tlog-proof. Throws an Error when the leaf and the hashes that were read do not lead to the tree's root: each
   * pair of halves is hashed, as a verifier would, the first time that a proof needs it.
   */
  receipt({ index, leafHash, extra, checkpointText }: ReceiptParts): string {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.head.size)
      throw new RangeError(`entry ${index} is not in a tree of ${this.head.size}`)
    let at = this.root
    while (at.end - at.start > 1) {
      const [left, right] = (at.halves ??= this.halve(at))
      at = index < left.end ? left : right
    }
    if (!sameBytes(at.hash, leafHash)) throw this.doesNotVerify(at)
    return formatProofAround({ extra, index, pathLines: at.path, checkpointText })
  }

  private halve(whole: Proved): [Proved, Proved] {
    const { start, end, path } = whole
    const middle = start + splitOf(end - start)
    const [left, right] = [this.hashOf(start, middle), this.hashOf(middle, end)]
    if (!sameBytes(hashNode(left, right), whole.hash)) throw this.doesNotVerify(whole)
    return [
      { start, end: middle, hash: left, path: `${encodeBase64(right)}\n${path}` },
      { start: middle, end, hash: right, path: `${encodeBase64(left)}\n${path}` },
    ]
  }

  private hashOf(start: number, end: number): Uint8Array {
    const { leaves, level } = largestSubtree(end - start)
    if (start + leaves === end) return this.read(level, start / leaves)
    const known = this.edge.get(start)
    if (known) return known
    const hash = hashNode(this.read(level, start / leaves), this.hashOf(start + leaves, end))
    this.edge.set(start, hash)
    return hash
  }

  private doesNotVerify({ start, end }: Proved): Error {
    return new Error(`receipts for entries ${start} to ${end - 1} do not verify at size ${this.head.size}`)
  }
}
