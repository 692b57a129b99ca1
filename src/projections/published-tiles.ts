// What anyone may read of the tree, from the read model through a connection that cannot write.

import Sqlite from 'better-sqlite3'

import { inclusionProof, consistencyProof, type HashReader } from '../domain/ledger/merkle.js'
import { HASH_BYTES } from '../domain/ledger/encoding.js'
import { readTile, tileHashes } from './tiles.js'

export class PublishedTiles {
  private db: Sqlite.Database | undefined

  /** The file is opened at the first question: the projector has made it by then. */
  constructor(private readonly path: string) {}

  /** The first `width` hashes of a tile: tiles only grow, so this never changes. Undefined where there are fewer. */
  tile(level: number, index: number, width: number): Uint8Array | undefined {
    const hashes = readTile(this.open(), level, index)
    return hashes && hashes.length >= width * HASH_BYTES ? hashes.subarray(0, width * HASH_BYTES) : undefined
  }

  /** Complete subtrees of the first `size` entries; the projector must have reached that far. */
  hashes(size: number): HashReader {
    return tileHashes(this.open(), size)
  }

  inclusion(index: number, size: number): Uint8Array[] {
    return inclusionProof(index, size, this.hashes(size))
  }

  consistency(oldSize: number, size: number): Uint8Array[] {
    return consistencyProof(oldSize, size, this.hashes(size))
  }

  close(): void {
    this.db?.close()
  }

  private open(): Sqlite.Database {
    this.db ??= new Sqlite(this.path, { readonly: true, fileMustExist: true, timeout: 100 })
    return this.db
  }
}
