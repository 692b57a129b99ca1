// Step 2: is this the ledger that this broker's files speak of? Asked before anything is built on its entries.

import { existsSync } from 'node:fs'

import type { Config } from '../config.js'
import { isLoopback } from '../config/address.js'
import { lastCheckpointPath } from '../config/data-dir.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { EventStore } from '../event-store/event-store.js'
import { CheckedClock, watchClock } from '../ledger/checked-clock.js'
import { discardLedgerKey, type LedgerKey, loadOrCreateLedgerKey } from '../ledger/key.js'
import { LedgerRefused, NAME_ANOTHER, openedAs, openLedger } from '../ledger/open-ledger.js'
import { RollbackGuard } from '../ledger/rollback-guard.js'
import { VERSION } from '../version.js'
import type { OpenedStore } from './ledger-store.js'
import { assertNotLost } from './lost-ledger.js'
import type { Opening } from './opening.js'

/** A ledger that this broker's key opened, or has opened now. */
export interface LedgerIdentity {
  key: LedgerKey
  /** Its last entry, which is durable and signed. */
  head: Sealed
  /** Held against the time of the last entry. */
  clock: CheckedClock
  rollbackGuard: RollbackGuard
}

/** `keptKey`: of this broker's key file, where there is one. Opens an empty ledger: LedgerOpened is durable then. Rejects with LedgerRefused or the store's StoreError. */
export async function verifyIdentity(
  opening: Opening,
  { store }: OpenedStore,
  keptKey: LedgerKey | undefined,
): Promise<LedgerIdentity> {
  const { config, log, onClose } = opening
  const { origin } = config.ledger
  const rollbackGuard = new RollbackGuard(lastCheckpointPath(config.dataDir), (error) =>
    log.error(`what would show a roll-back is not kept: ${error.message}`),
  )
  onClose(() => rollbackGuard.close())
  if (nothingRemembers(config, rollbackGuard) && (await store.size()) > 0)
    log.warn(
      `${store.description} is here, and neither last-checkpoint nor read models: nothing on this machine remembers this ` +
        'ledger, so a roll-back would not be noticed. Verify it against a checkpoint from elsewhere (verify-ledger --checkpoint FILE)',
    )
  const key = keptKey ?? (await newKey(config, store, rollbackGuard))
  await assertNotLost(config, store, rollbackGuard)
  const head = await openOrDiscardKey(opening, store, key)
  const clock = openClock(opening, head)
  onClose(watchClock(clock))
  log.info({ ledger: store.description, origin, size: head.entry.index + 1 }, 'ledger opened')
  if (isLoopback(new URL(config.issuer).hostname.replace(/^\[|\]$/g, '')))
    log.info(
      `this ledger is for trying out: its name for life is ${origin}. For a real one, set BROKER_OIDC_ISSUER before the first start`,
    )
  return { key, head, clock, rollbackGuard }
}

/** True for a first start too: there is no ledger then. */
function nothingRemembers({ auditDbPath }: Config, guard: RollbackGuard): boolean {
  return !guard.last() && !existsSync(auditDbPath)
}

async function openOrDiscardKey(
  { config, dependencies }: Opening,
  store: EventStore,
  key: LedgerKey,
): Promise<Sealed> {
  const now = new Date(dependencies.time().wall)
  try {
    return await openLedger(store, { signer: key.signer, software: `agentkeys-broker/${VERSION}` }, now)
  } catch (error) {
    // Another broker opened it at the same moment, with a key of its own.
    if (error instanceof LedgerRefused) discardLedgerKey(config.ledger.keyPath, key)
    throw error
  }
}

function openClock({ config, log, dependencies }: Opening, { entry }: Sealed): CheckedClock {
  const { longestPauseDays } = config
  return new CheckedClock(dependencies.time, Date.parse(entry.time), longestPauseDays, (problem) => {
    if (problem === undefined) log.info('the system clock is plausible again: minting goes on')
    else log.error(`minting stops: ${problem}`)
  })
}

/** A new ledger's key. For a ledger that there is, any other key is of no use, and would be taken for its own. */
async function newKey(
  { ledger: { origin, keyPath } }: Config,
  store: EventStore,
  rollbackGuard: RollbackGuard,
): Promise<LedgerKey> {
  const size = await store.size()
  if (size === 0 && !rollbackGuard.last()) return loadOrCreateLedgerKey(keyPath, origin)
  if (size > 0) await openedAs(store, origin)
  throw new LedgerRefused(
    `${store.description} is there and its key is not: put the key back at ${keyPath} from its backup ` +
      `(BROKER_LEDGER_KEY_PATH), or ${NAME_ANOTHER}, with another BROKER_DATA_DIR`,
  )
}
