// What the tree over a ledger's entries was at every size, from its stored bytes alone.

import Sqlite from 'better-sqlite3'

import { hashLeaf, Tree, type TreeHead } from '../../src/domain/ledger/merkle.js'
import { utf8 } from '../../src/domain/ledger/encoding.js'
import { ledgerPath } from './verified-ledger.js'

export class LedgerRoots {
  private readonly roots: string[] = []

  constructor(dataDir: string) {
    const db = new Sqlite(ledgerPath(dataDir), { readonly: true })
    const rows = db.prepare<[], { entry: string }>('SELECT entry FROM ledger ORDER BY idx').all()
    db.close()
    const tree = new Tree()
    this.roots.push(text(tree.head()))
    for (const { entry } of rows) {
      tree.append(hashLeaf(utf8(entry)))
      this.roots.push(text(tree.head()))
    }
  }

  get size(): number {
    return this.roots.length - 1
  }

  /** Those of the heads that this ledger does not begin with. */
  contradicting(heads: readonly TreeHead[]): string[] {
    return heads.map(text).filter((head) => !this.roots.includes(head))
  }
}

function text({ size, root }: TreeHead): string {
  return `${size} ${Buffer.from(root).toString('base64')}`
}
