// Step 1: where the ledger is kept, and what has to hold around a store that brokers share.

import type { Logger } from 'pino'

import type { Config } from '../config.js'
import type { LedgerStoreConfig } from '../config/ledger.js'
import type { EventStore } from '../event-store/event-store.js'
import { parseAddress } from '../event-store/eventstoredb/address.js'
import { SqliteEventStore } from '../event-store/sqlite.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import type { Opener, Opening } from './opening.js'

export interface OpenedStore {
  store: EventStore
  /** Why this broker may not read the ledger, although it may append to it; undefined: it may. */
  unreadable: () => string | undefined
}

/** Rejects with LedgerRefused or the store's StoreError. */
export async function openLedgerStore({
  config,
  dataDir: { nodeId: node },
  log,
  dependencies,
  onClose,
}: Opening): Promise<OpenedStore> {
  await assertAppendOnly(config, log)
  let unreadable: string | undefined
  const store = await dependencies.openStore(config.ledger.store, {
    node,
    insecure: config.insecureLedger,
    warn: (warning) => log.warn(warning),
    onSight: (problem) => {
      unreadable = problem
      if (problem === undefined) log.info('the ledger can be read again: minting goes on')
      else log.error(`minting stops, because this broker may not read the ledger or its metadata: ${problem}`)
    },
  })
  onClose(() => store.close())
  return { store, unreadable: () => unreadable }
}

export async function openStore(store: LedgerStoreConfig, as: Opener): Promise<EventStore> {
  switch (store.kind) {
    case 'sqlite':
      return new SqliteEventStore(store.path, as.warn)
    case 'esdb': {
      // Loaded where it is used only: its client is 27 MB, and a tenth of the time a start takes.
      const { EventStoreDbEventStore } = await import('../event-store/eventstoredb.js')
      const { node, insecure, onSight = () => undefined } = as
      const { stream, url } = store
      return new EventStoreDbEventStore(url, { stream, node, insecure, restricted: !insecure, onSight })
    }
  }
}

/**
 * A shared ledger is append-only by the rights around it, and whole by its metadata. The server itself is asked for
 * both, before the ledger is opened. Rejects with LedgerRefused, or the store's StoreError.
 */
async function assertAppendOnly({ ledger: { store }, insecureLedger }: Config, log: Logger): Promise<void> {
  if (store.kind !== 'esdb') return
  const { auditPermissions } = await import('../event-store/eventstoredb/setup.js')
  const { permissionsProblem } = await import('../event-store/eventstoredb/powers.js')
  const { ownAclProblem } = await import('../event-store/eventstoredb/metadata.js')
  const { powers, ownAcl } = await auditPermissions(parseAddress(store.url), store.stream)
  const problems: string[] = []
  if (powers.length > 0) problems.push(permissionsProblem(powers))
  if (ownAcl.length > 0) problems.push(ownAclProblem(store.stream, ownAcl))
  if (problems.length === 0) return
  const problem = problems.join('; ')
  if (!insecureLedger) throw new LedgerRefused(`${problem}, or try things out with --insecure-ledger`)
  log.warn({ powers, ownAcl }, `${problem}; --insecure-ledger lets it start all the same`)
}
