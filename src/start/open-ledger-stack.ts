// Opens the ledger and all that follows it, in six steps: each is handed what those before it found. Only the sixth can
// append to a ledger that was there.

import type { EventStore } from '../event-store/event-store.js'
import { systemTime } from '../ledger/checked-clock.js'
import { type LedgerKey, loadLedgerKey } from '../ledger/key.js'
import type { Ledger } from '../ledger/ledger.js'
import { DEFAULT_LIMITS } from '../ledger/sequencer.js'
import type { AuditQuery } from '../projections/audit-query.js'
import type { Projector } from '../projections/projector.js'
import type { PublishedTiles } from '../projections/published-tiles.js'
import type { KeysView } from '../projections/signing-keys.js'
import { verifyIdentity } from './ledger-identity.js'
import { openLedgerStore, openStore } from './ledger-store.js'
import { checkRollback } from './ledger-tree.js'
import { openWriter } from './ledger-writer.js'
import type { Dependencies, Opening } from './opening.js'
import { followReadModels } from './read-models.js'
import { openWitnessing } from './witnessing.js'

/** The ledger, and what is read from it. */
export interface LedgerStack {
  store: EventStore
  ledger: Ledger
  ledgerKey: LedgerKey
  projector: Projector
  keys: KeysView
  tiles: PublishedTiles
  audit: AuditQuery
  /** The system's time, or what it should be where that is implausible. */
  believed: () => Date
}

export const PRODUCTION: Dependencies = { openStore, limits: DEFAULT_LIMITS, time: systemTime() }

/** Rejects with LedgerRefused, LedgerMismatch, PrivateFileError or the store's error: then nothing was appended. */
export async function openLedgerStack(opening: Opening): Promise<LedgerStack> {
  const { keyPath, origin } = opening.config.ledger
  // A key file that cannot be used is refused before a store is made.
  const keptKey = loadLedgerKey(keyPath, origin)
  const opened = await openLedgerStore(opening)
  const identity = await verifyIdentity(opening, opened, keptKey)
  const models = await followReadModels(opening, opened, identity)
  const tree = checkRollback(opening, identity, models)
  const witnessing = await openWitnessing(opening, identity.key, { store: opened.store, tree, ...models })
  const ledger = openWriter(opening, { opened, identity, models, tree, witnessing })
  const { projector, keys, tiles, audit } = models
  const { key: ledgerKey, clock } = identity
  return { store: opened.store, ledger, ledgerKey, projector, keys, tiles, audit, believed: clock.believed }
}
