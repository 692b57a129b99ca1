import { hashLeaf, type HashReader, Tree } from '../../src/domain/ledger/merkle.js'

/** A tree that remembers every complete subtree, and its root at every size it went through. */
export class GrownTree {
  readonly roots: Uint8Array[] = []
  readonly leaves: Uint8Array[] = []
  private readonly tree = new Tree()
  private readonly nodes = new Map<string, Uint8Array>()

  constructor(entries: Iterable<Uint8Array>) {
    this.roots.push(this.tree.root())
    for (const entry of entries) {
      const leaf = hashLeaf(entry)
      this.leaves.push(leaf)
      this.tree.append(leaf, (level, index, hash) => this.nodes.set(`${level}/${index}`, hash))
      this.roots.push(this.tree.root())
    }
  }

  readonly read: HashReader = (level, index) => {
    const hash = this.nodes.get(`${level}/${index}`)
    if (!hash) throw new Error(`no subtree ${level}/${index}`)
    return hash
  }

  head(size: number): { size: number; root: Uint8Array } {
    return { size, root: this.rootAt(size) }
  }

  rootAt(size: number): Uint8Array {
    const root = this.roots[size]
    if (!root) throw new Error(`the tree was never of size ${size}`)
    return root
  }

  leafAt(index: number): Uint8Array {
    const leaf = this.leaves[index]
    if (!leaf) throw new Error(`no leaf ${index}`)
    return leaf
  }
}

/**
 * A tree of any size, far beyond what could be grown: its leaves are all `leaf`, but for `odd` at `oddIndex`. So a
 * subtree's root depends on its level alone, unless it holds the odd one.
 */
export function vastTree(
  leaf: Uint8Array,
  odd: { leaf: Uint8Array; index: number },
  node: NodeHash,
): HashReader {
  const uniform = [leaf]
  const same = (level: number): Uint8Array => {
    uniform[level] ??= node(same(level - 1), same(level - 1))
    return uniform[level]
  }
  const read: HashReader = (level, index) => {
    if (Math.floor(odd.index / 2 ** level) !== index) return same(level)
    return level === 0 ? odd.leaf : node(read(level - 1, index * 2), read(level - 1, index * 2 + 1))
  }
  return read
}

type NodeHash = (left: Uint8Array, right: Uint8Array) => Uint8Array
