// Step 4: does the ledger contain what this machine last signed of it? Then its tree, from which new heads are signed.

import { LogTree } from '../ledger/log-tree.js'
import type { LedgerIdentity } from './ledger-identity.js'
import type { Opening } from './opening.js'
import type { ReadModels } from './read-models.js'

/** Throws LedgerMismatch for a ledger that was rolled back or written again. */
export function checkRollback(
  { config }: Opening,
  { key, head, rollbackGuard }: LedgerIdentity,
  { tiles, projector }: ReadModels,
): LogTree {
  const size = head.entry.index + 1
  rollbackGuard.verify(size, key.signer.key, tiles.hashes(size))
  const tree = new LogTree(size, {
    origin: config.ledger.origin,
    signer: key.signer,
    older: (level, index) => tiles.hashes(projector.position)(level, index),
  })
  rollbackGuard.record(tree.checkpoint)
  return tree
}
