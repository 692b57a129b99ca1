// Step 3: the read models follow the ledger to its end, before anything is decided by them.

import { LedgerSignatures } from '../domain/ledger/ledger-signature.js'
import { SharedStore } from '../event-store/shared/shared-store.js'
import { AuditQuery } from '../projections/audit-query.js'
import { Projector } from '../projections/projector.js'
import { PublishedTiles } from '../projections/published-tiles.js'
import { KeysView } from '../projections/signing-keys.js'
import type { LedgerIdentity } from './ledger-identity.js'
import type { OpenedStore } from './ledger-store.js'
import type { Opening } from './opening.js'

export interface ReadModels {
  /** Where brokers share the ledger: the store, with turns and what the others wrote. */
  shared: SharedStore | undefined
  keys: KeysView
  projector: Projector
  tiles: PublishedTiles
  audit: AuditQuery
  /** Resolves when the tiles hold the first `size` entries. */
  tilesReach: (size: number) => Promise<void>
}

export async function followReadModels(
  { config, dataDir, log, onClose }: Opening,
  { store }: OpenedStore,
  { key, head, clock }: LedgerIdentity,
): Promise<ReadModels> {
  const size = head.entry.index + 1
  const ledgerKey = key.signer.key
  const keys = new KeysView(clock.believed, new LedgerSignatures(ledgerKey), config.jwksCacheSeconds * 1000)
  const shared =
    config.ledger.store.kind === 'esdb' ? new SharedStore(store, { node: dataDir.nodeId, size }) : undefined
  const trust = { ledgerKey, signedHead: { size, leafHash: head.leafHash } }
  const projector = new Projector(shared ?? store, keys, { readModelPath: config.auditDbPath, trust, log })
  onClose(() => projector.stop())
  await projector.start()
  await projector.caughtUpTo(size)
  const tiles = new PublishedTiles(config.auditDbPath)
  onClose(() => tiles.close())
  const audit = new AuditQuery(config.auditDbPath)
  onClose(() => audit.close())
  return { shared, keys, projector, tiles, audit, tilesReach: (wanted) => projector.caughtUpTo(wanted) }
}
