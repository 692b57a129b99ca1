// The Merkle tree over the ledger, as entries are appended: its signed heads, and receipts for what was just written.

import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  signCheckpoint,
  type SignedCheckpoint,
} from '../domain/ledger/checkpoint.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { type HashReader, Tree } from '../domain/ledger/merkle.js'
import type { Signer } from '../domain/ledger/note.js'
import { Receipts } from '../domain/ledger/receipts.js'
import { sameBytes } from '../domain/ledger/encoding.js'

/** How many of the latest leaves have their hashes at hand for receipts: more than one batch of any size. */
const RECENT_LEAVES = 2048

/** How many of the latest checkpoints are kept until the read models have caught up with one of them. */
const RECENT_CHECKPOINTS = 256

/** The latest nodes of one level: `first` is the index of the first one kept. */
interface Row {
  first: number
  hashes: Uint8Array[]
}

/** What receipts under one checkpoint have in common. */
interface ReceiptContext {
  checkpoint: SignedCheckpoint
  checkpointText: string
  receipts: Receipts
}

export interface LogTreeOptions {
  origin: string
  signer: Signer
  /** Complete subtrees that are not among the latest: those of the start, and what the read models hold since. */
  older: HashReader
}

/**
 * Grows with every committed batch and signs a checkpoint for each. Only entries that are durable may reach it: what is
 * signed here can never be taken back.
 */
export class LogTree {
  private readonly tree: Tree
  private readonly rows: Row[] = []
  private readonly recent: SignedCheckpoint[] = []
  private published: SignedCheckpoint
  /** When the newest checkpoint was signed, by the system's clock. */
  signedAt = new Date()
  private under: ReceiptContext | undefined

  constructor(
    size: number,
    private readonly options: LogTreeOptions,
  ) {
    this.tree = Tree.at(size, options.older)
    this.published = this.sign()
  }

  /** Takes durable entries in order, and signs the head that they end with. */
  append(entries: readonly Sealed[]): SignedCheckpoint {
    for (const { leafHash } of entries) {
      this.tree.append(hexBytes(leafHash), (level, index, hash) => this.keep(level, index, hash))
    }
    return this.sign()
  }

  /** The signed head of everything appended so far. */
  get checkpoint(): SignedCheckpoint {
    return this.recent.at(-1) as SignedCheckpoint
  }

  /** The newest checkpoint of at most `size` entries: what may be shown to readers whose tiles reach that far. */
  checkpointUpTo(size: number): SignedCheckpoint {
    this.published = this.recent.findLast((checkpoint) => checkpoint.size <= size) ?? this.published
    return this.published
  }

  /**
   * The receipt of one of the latest entries under a checkpoint of this tree, checked before it is given. It carries
   * the entry's own bytes, so that it proves the entry without any other data.
   */
  receipt({ entry: { index }, text, leafHash }: Sealed, checkpoint: SignedCheckpoint): string {
    const { receipts, checkpointText } = this.receiptsUnder(checkpoint)
    const extra = Buffer.from(text).toString('base64')
    return receipts.receipt({ index, leafHash: hexBytes(leafHash), extra, checkpointText })
  }

  /** A batch's callers all ask for the same. */
  private receiptsUnder(checkpoint: SignedCheckpoint): ReceiptContext {
    if (this.under?.checkpoint === checkpoint) return this.under
    const { size, root } = checkpoint
    const known = this.under?.receipts
    const same = known?.head.size === size && sameBytes(known.head.root, root)
    const receipts = same ? known : new Receipts({ size, root }, (level, at) => this.node(level, at))
    return (this.under = { checkpoint, checkpointText: formatSignedCheckpoint(checkpoint), receipts })
  }

  private sign(): SignedCheckpoint {
    const { origin, signer } = this.options
    const checkpoint = parseSignedCheckpoint(signCheckpoint({ origin, ...this.tree.head() }, signer))
    this.recent.push(checkpoint)
    this.signedAt = new Date()
    if (this.recent.length > RECENT_CHECKPOINTS) this.recent.shift()
    return checkpoint
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
    return row?.hashes[index - row.first] ?? this.options.older(level, index)
  }
}

function hexBytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
