// A ledger that is missing or empty, while this machine remembers entries of it: to begin it again would bury that.

import { existsSync } from 'node:fs'

import type { Config } from '../config.js'
import type { EventStore } from '../event-store/event-store.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import type { RollbackGuard } from '../ledger/rollback-guard.js'
import { sizeOfReadModels } from '../projections/read-model-file.js'

/** Before the ledger is opened, which makes one where there is none. Rejects with LedgerRefused. */
export async function assertNotLost(
  { ledger, auditDbPath }: Config,
  store: EventStore,
  rollbackGuard: RollbackGuard,
): Promise<void> {
  if ((await store.size()) > 0) return
  const signed = rollbackGuard.last()?.size ?? 0
  const known = signed > 0 ? signed : sizeOfReadModels(auditDbPath)
  if (known === 0) return
  const missing = ledger.store.kind === 'sqlite' && !existsSync(ledger.store.path)
  const what = missing ? `there is no ledger at ${ledger.store.path}` : `${store.description} is empty`
  const who = signed > 0 ? rollbackGuard.path : auditDbPath
  throw new LedgerRefused(
    `${what}, and ${who} knows ${known} entries of it: put it back, or restore its newest backup and verify it. ` +
      'Entries that are lost are credentials that no record accounts for. ' +
      `To begin another ledger, move last-checkpoint and ${auditDbPath} away`,
  )
}
