// The Merkle tree over the ledger, as entries are appended: its signed head, and receipts for what was just written.

import {
  formatCheckpoint,
  parseSignedCheckpoint,
  signCheckpoint,
  type SignedCheckpoint,
} from '../domain/ledger/checkpoint.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { inclusionProof, Tree, verifyInclusion } from '../domain/ledger/merkle.js'
import type { Signer } from '../domain/ledger/note.js'
import { formatProof } from '../domain/ledger/proof.js'

/** How many of the latest leaves have their hashes at hand for receipts: more than one group of any size. */
const RECENT_LEAVES = 2048

/** The latest nodes of one level: `first` is the index of the first one kept. */
interface Row {
  first: number
  hashes: Uint8Array[]
}

/**
 * Grows with every committed group and signs a checkpoint for each. Only entries that are durable may reach it: what is
 * signed here can never be taken back.
 */
export class LogTree {
  private readonly rows: Row[] = []
  private signed: SignedCheckpoint | undefined

  constructor(
    private readonly tree: Tree,
    private readonly origin: string,
    private readonly signer: Signer,
    /** Of the tree as it was given: complete subtrees from before this process. */
    private readonly older: (level: number, index: number) => Uint8Array,
  ) {}

  get size(): number {
    return this.tree.size
  }

  /** Takes durable entries in order. */
  append(entries: readonly Sealed[]): void {
    for (const { leafHash } of entries) {
      this.tree.append(Buffer.from(leafHash, 'hex'), (level, index, hash) => this.keep(level, index, hash))
    }
    this.signed = undefined
  }

  /** The signed head of everything appended so far. */
  checkpoint(): SignedCheckpoint {
    if (!this.signed) {
      const head = { origin: this.origin, ...this.tree.head() }
      this.signed = parseSignedCheckpoint(signCheckpoint(head, this.signer))
    }
    return this.signed
  }

  /** The receipt of one of the latest entries under the current checkpoint, checked before it is given. */
  receipt({ entry: { index }, leafHash }: Sealed): string {
    const checkpoint = this.checkpoint()
    const path = inclusionProof(index, checkpoint.size, (level, at) => this.node(level, at))
    if (!verifyInclusion(Buffer.from(leafHash, 'hex'), index, checkpoint, path)) {
      throw new Error(`the receipt for entry ${index} does not verify under ${formatCheckpoint(checkpoint)}`)
    }
    return formatProof({ index, path, checkpoint })
  }

  private keep(level: number, index: number, hash: Uint8Array): void {
    const row = (this.rows[level] ??= { first: index, hashes: [] })
    row.hashes.push(hash)
    const enough = 4 + Math.ceil(RECENT_LEAVES / 2 ** level)
    if (row.hashes.length > 2 * enough) {
      const dropped = row.hashes.length - enough
      row.hashes = row.hashes.slice(dropped)
      row.first += dropped
    }
  }

  private node(level: number, index: number): Uint8Array {
    const row = this.rows[level]
    return row?.hashes[index - row.first] ?? this.older(level, index)
  }
}
