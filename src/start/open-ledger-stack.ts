// Opens the ledger and all that follows it: checked against what is known of it before anything is added.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Logger } from 'pino'

import type { Config } from '../config.js'
import { isLoopback } from '../config/address.js'
import type { LedgerStoreConfig } from '../config/ledger.js'
import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { CutOffs } from '../domain/ledger/cut-offs.js'
import { Grants } from '../domain/ledger/grants.js'
import { LedgerSignatures } from '../domain/ledger/ledger-signature.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { LedgerError } from '../domain/ledger-error.js'
import { UNSIGNED_FOR_MS } from '../domain/ledger/unsigned.js'
import type { EventStore } from '../event-store/event-store.js'
import { SharedStore } from '../event-store/shared/shared-store.js'
import { Sequencer, type SequencerLimits, DEFAULT_LIMITS } from '../ledger/sequencer.js'
import { ForeignEntries } from '../ledger/foreign-entries.js'
import { CheckedClock, systemTime, type TimeSource, watchClock } from '../ledger/checked-clock.js'
import { RollbackGuard } from '../ledger/rollback-guard.js'
import { discardLedgerKey, type LedgerKey, loadLedgerKey, loadOrCreateLedgerKey } from '../ledger/key.js'
import { Ledger } from '../ledger/ledger.js'
import { LogTree } from '../ledger/log-tree.js'
import { LedgerRefused, NAME_ANOTHER, openedAs, openLedger } from '../ledger/open-ledger.js'
import type { DataDir } from '../storage/data-dir.js'
import { AuditQuery } from '../projections/audit-query.js'
import { Projector } from '../projections/projector.js'
import { PublishedTiles } from '../projections/published-tiles.js'
import { KeysView } from '../projections/signing-keys.js'
import { assertNotLost } from './lost-ledger.js'
import { assertAppendOnly, type Opener, openStore } from './ledger-store.js'
import { VERSION } from '../version.js'
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

type OnClose = (step: () => unknown) => void

/** What a test may put in place of the real thing: a store that fails on order, limits that it need not wait for. */
export interface Dependencies {
  openStore: (store: LedgerStoreConfig, as: Opener) => EventStore | Promise<EventStore>
  limits: SequencerLimits
  time: TimeSource
}

export const PRODUCTION: Dependencies = { openStore, limits: DEFAULT_LIMITS, time: systemTime() }

/** Rejects with LedgerRefused, LedgerMismatch, PrivateFileError or the store's error: then nothing was appended. */
export async function openLedgerStack(
  config: Config,
  { nodeId, displaced }: DataDir,
  { log, onClose, dependencies }: { log: Logger; onClose: OnClose; dependencies: Dependencies },
): Promise<LedgerStack> {
  const { origin, keyPath } = config.ledger
  const keptKey = loadLedgerKey(keyPath, origin)
  await assertAppendOnly(config, log)
  let unseen: string | undefined
  const store = await dependencies.openStore(config.ledger.store, {
    node: nodeId,
    insecure: config.insecureLedger,
    warn: (warning) => log.warn(warning),
    onSight: (problem) => {
      unseen = problem
      if (problem === undefined) log.info('the ledger can be read again: minting goes on')
      else log.error(`minting stops, because this broker may not read the ledger or its metadata: ${problem}`)
    },
  })
  onClose(() => store.close())
  const rollbackGuard = new RollbackGuard(lastCheckpointPath(config), (error) =>
    log.error({ err: error }, 'the last checkpoint could not be kept'),
  )
  if (nothingRemembers(config, rollbackGuard) && (await store.size()) > 0)
    log.warn(
      `${store.description} is here, and neither last-checkpoint nor read models: nothing on this machine remembers this ` +
        'ledger, so a roll-back would not be noticed. Verify it against a checkpoint from elsewhere (verify-ledger --checkpoint FILE)',
    )
  const key = keptKey ?? (await newKey(config, store, rollbackGuard))
  await assertNotLost(config, store, rollbackGuard)
  const head = await opened(store, key, { keyPath, now: new Date(dependencies.time().wall) })
  const clock = openClock(config, head, { log, time: dependencies.time })
  onClose(watchClock(clock))
  const size = head.entry.index + 1
  log.info({ ledger: store.description, origin, size }, 'ledger opened')
  if (isLoopback(new URL(config.issuer).hostname.replace(/^\[|\]$/g, '')))
    log.info(
      `this ledger is for trying out: its name for life is ${origin}. For a real one, set BROKER_OIDC_ISSUER before the first start`,
    )

  const keys = new KeysView(clock.believed, new LedgerSignatures(key.signer.key))
  const shared =
    config.ledger.store.kind === 'esdb' ? new SharedStore(store, { node: nodeId, size }) : undefined
  const trust = { ledgerKey: key.signer.key, signedHead: { size, leafHash: head.leafHash } }
  const projector = new Projector(shared ?? store, keys, { readModelPath: config.auditDbPath, trust, log })
  onClose(() => projector.stop())
  await projector.start()
  await projector.caughtUpTo(size)
  const tiles = new PublishedTiles(config.auditDbPath)
  onClose(() => tiles.close())
  const audit = new AuditQuery(config.auditDbPath)
  onClose(() => audit.close())

  rollbackGuard.verify(size, key.signer.key, tiles.hashes(size))
  onClose(() => rollbackGuard.close())
  const follow: ((checkpoint: SignedCheckpoint) => void)[] = []
  const tree = new LogTree(size, {
    origin,
    signer: key.signer,
    older: (level, index) => tiles.hashes(projector.position)(level, index),
    onSigned: (checkpoint) => follow.forEach((tell) => tell(checkpoint)),
  })
  const tilesReach = (wanted: number) => projector.caughtUpTo(wanted)
  const witnessing = await openWitnessing(config, key, { log, onClose }, { store, tree, tiles, tilesReach })
  follow.push((checkpoint) => rollbackGuard.record(checkpoint))
  if (witnessing) follow.push((checkpoint) => witnessing.witnesses.offer(checkpoint))
  rollbackGuard.record(tree.checkpoint)

  const committed = (entries: readonly Sealed[]) => {
    clock.saw(entries)
    tree.append(entries)
  }
  const sequencer = new Sequencer(shared ?? store, head, clock.now, committed, dependencies.limits, {
    signer: key.signer,
    keys: keys.known(),
    cutOffs: new CutOffs(audit.cutOffs()),
    grants: new Grants(audit.grantsInForce()),
    displaced,
    onDoubt: (reason) =>
      log.error(
        `an append is in doubt; it is repeated, and nothing is handed out until it is settled: ${reason}. ` +
          'See that the disk, or the server and the way to it, works; no restart is needed',
      ),
    onHalt: (reason) => log.error(`nothing is minted any more: ${reason}`),
    onFromFuture: (problem) => log.error(`minting stops: ${problem}`),
  })
  const foreign = new ForeignEntries(sequencer)
  shared?.listen((batch) => foreign.add(batch))
  const others = shared
    ? {
        newestSize: () => (unseen === undefined ? store.size() : rejected(unseen)),
        contention: shared.timer,
        problem: () => foreign.unsignedFor(UNSIGNED_FOR_MS),
      }
    : { probe: () => store.size() }
  const ledger = new Ledger(origin, { vkey: key.vkey, sequencer, tree, witnessing, tilesReach, ...others })
  onClose(() => ledger.close())
  return { store, ledger, ledgerKey: key, projector, keys, tiles, audit, believed: clock.believed }
}

function rejected(reason: string): Promise<never> {
  return Promise.reject(new LedgerError('unavailable', reason))
}

/** True for a first start too: there is no ledger then. */
function nothingRemembers({ auditDbPath }: Config, guard: RollbackGuard): boolean {
  return !guard.last() && !existsSync(auditDbPath)
}

async function opened(
  store: EventStore,
  key: LedgerKey,
  { keyPath, now }: { keyPath: string; now: Date },
): Promise<Sealed> {
  try {
    return await openLedger(store, { signer: key.signer, software: `agentkeys-broker/${VERSION}` }, now)
  } catch (error) {
    // Another broker opened it at the same moment, with a key of its own.
    if (error instanceof LedgerRefused) discardLedgerKey(keyPath, key)
    throw error
  }
}

function openClock(
  { longestPauseDays }: Config,
  { entry }: Sealed,
  { log, time }: { log: Logger; time: TimeSource },
): CheckedClock {
  return new CheckedClock(time, Date.parse(entry.time), longestPauseDays, (problem) => {
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

/** Where the last signed checkpoint is kept, apart from the ledger. */
export function lastCheckpointPath({ dataDir }: Config): string {
  return join(dataDir, 'last-checkpoint')
}
