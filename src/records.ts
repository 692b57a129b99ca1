// Opens the ledger and all that follows it: checked against what is known of it before anything is added.

import { join } from 'node:path'

import type { Logger } from 'pino'

import type { Config } from './config.js'
import type { LedgerStoreConfig } from './config/ledger.js'
import { isGated } from './config/witness.js'
import { parseSignedCheckpoint, signCheckpoint, type SignedCheckpoint } from './domain/ledger/checkpoint.js'
import { EMPTY_ROOT, Tree } from './domain/ledger/merkle.js'
import type { EventStore } from './event-store/event-store.js'
import { parseAddress } from './event-store/eventstoredb-address.js'
import { SqliteEventStore } from './event-store/sqlite.js'
import { ReadAheadStore } from './event-store/read-ahead.js'
import { Appender, type AppenderLimits, DEFAULT_LIMITS } from './ledger/appender.js'
import { CheckpointTrace } from './ledger/checkpoint-trace.js'
import { type LedgerKey, loadLedgerKey, loadOrCreateLedgerKey } from './ledger/key.js'
import { KeyStates } from './ledger/key-states.js'
import { Ledger, type Witnessing } from './ledger/ledger.js'
import { LiveFollow } from './ledger/live-follow.js'
import { LogTree } from './ledger/log-tree.js'
import { LedgerRefused, openedAs, openLedger } from './ledger/open-ledger.js'
import { readWitnessPolicy } from './witness/witness-policy.js'
import { DEFAULT_WITNESS_LIMITS } from './witness/witness.js'
import { Witnesses } from './witness/witnesses.js'
import { AuditQuery } from './projections/audit-query.js'
import { Projector } from './projections/projector.js'
import { PublishedTiles } from './projections/published-tiles.js'
import { KeysView } from './projections/signing-keys.js'
import { VERSION } from './version.js'

/** The ledger, and what is read from it. */
export interface Records {
  store: EventStore
  ledger: Ledger
  projector: Projector
  keys: KeysView
  tiles: PublishedTiles
  audit: AuditQuery
}

export type OnClose = (step: () => unknown) => void

/** Who opens the store: its node id, and whether it was told `--insecure-ledger`. */
export interface Opener {
  node: string
  insecure: boolean
}

/** What a test may put in place of the real thing: a store that fails on order, limits that it need not wait for. */
export interface Seams {
  openStore: (store: LedgerStoreConfig, as: Opener) => EventStore | Promise<EventStore>
  limits: AppenderLimits
}

export const REAL: Seams = { openStore, limits: DEFAULT_LIMITS }

interface Context {
  log: Logger
  onClose: OnClose
}

const now = () => new Date()

/** Rejects with LedgerRefused, LedgerMismatch, PrivateFileError or the store's error: then nothing was appended. */
export async function openRecords(
  config: Config,
  nodeId: string,
  { log, onClose, seams }: Context & { seams: Seams },
): Promise<Records> {
  const { origin, keyPath } = config.ledger
  const keptKey = loadLedgerKey(keyPath, origin)
  await assertAppendOnly(config, log)
  const store = await seams.openStore(config.ledger.store, {
    node: nodeId,
    insecure: config.insecureLedger,
  })
  onClose(() => store.close())
  const trace = new CheckpointTrace(tracePath(config), (error) =>
    log.error({ err: error }, 'the last checkpoint could not be kept'),
  )
  const key = keptKey ?? (await newKey(config, store, trace))
  // Before the ledger is opened: one that was emptied must not be begun anew.
  if (trace.last() && (await store.size()) === 0) trace.check(0, key.signer.key, () => EMPTY_ROOT)
  const identity = { origin, vkey: key.vkey, software: `agentkeys-broker/${VERSION}` }
  const head = await openLedger(store, identity, now())
  const size = head.entry.index + 1
  log.info({ ledger: store.description, origin, size }, 'ledger opened')

  const keys = new KeysView(now)
  const live = config.ledger.store.kind === 'esdb' ? new LiveFollow(nodeId, size) : undefined
  const followed = live ? new ReadAheadStore(store, live.watch) : store
  const projector = new Projector(followed, keys, { readModelPath: config.auditDbPath, log })
  onClose(() => projector.stop())
  await projector.start()
  await projector.caughtUpTo(size)
  const tiles = new PublishedTiles(config.auditDbPath)
  onClose(() => tiles.close())
  const audit = new AuditQuery(config.auditDbPath)
  onClose(() => audit.close())

  trace.check(size, key.signer.key, tiles.hashes(size))
  onClose(() => trace.close())
  const follow: ((checkpoint: SignedCheckpoint) => void)[] = []
  const tree = new LogTree(size, {
    origin,
    signer: key.signer,
    older: (level, index) => tiles.hashes(projector.position)(level, index),
    onSigned: (checkpoint) => follow.forEach((tell) => tell(checkpoint)),
  })
  const tilesReach = (wanted: number) => projector.caughtUpTo(wanted)
  const witnessing = await openWitnessing(config, key, { log, onClose }, { store, tree, tiles, tilesReach })
  follow.push((checkpoint) => trace.remember(checkpoint))
  if (witnessing) follow.push((checkpoint) => witnessing.witnesses.offer(checkpoint))
  trace.remember(tree.checkpoint)

  const appender = new Appender(store, head, now, (entries) => tree.append(entries), seams.limits, {
    keys: KeyStates.of(keys.known(), keys.activeKid()),
    ...(live ? { sharing: live.turns } : {}),
  })
  live?.attach(appender)
  const shared = live ? { newestSize: () => store.size(), contention: live.turns } : {}
  const ledger = new Ledger(origin, { vkey: key.vkey, appender, tree, witnessing, tilesReach, ...shared })
  onClose(() => ledger.close())
  return { store, ledger, projector, keys, tiles, audit }
}

/** A new ledger's key. For a ledger that there is, any other key is of no use, and would be taken for its own. */
async function newKey(
  { ledger: { origin, keyPath } }: Config,
  store: EventStore,
  trace: CheckpointTrace,
): Promise<LedgerKey> {
  const size = await store.size()
  if (size === 0 && !trace.last()) return loadOrCreateLedgerKey(keyPath, origin)
  if (size > 0) await openedAs(store, origin)
  throw new LedgerRefused(
    `${store.description} is there and its key is not: put the key back at ${keyPath} from its backup ` +
      '(BROKER_LEDGER_KEY_PATH), or point BROKER_LEDGER_URL and BROKER_DATA_DIR at a new ledger',
  )
}

/** Where the last signed checkpoint is kept, apart from the ledger. */
export function tracePath({ dataDir }: Config): string {
  return join(dataDir, 'last-checkpoint')
}

/** Where the last checkpoint is kept that had its quorum, for those who show the ledger when the broker does not run. */
export function witnessedPath(dataDir: string): string {
  return join(dataDir, 'last-witnessed-checkpoint')
}

export async function openStore(store: LedgerStoreConfig, as: Opener): Promise<EventStore> {
  switch (store.kind) {
    case 'sqlite':
      return new SqliteEventStore(store.path)
    case 'esdb': {
      // Loaded where it is used only: its client is 27 MB, and a tenth of the time a start takes.
      const { EventStoreDbEventStore } = await import('./event-store/eventstoredb.js')
      return new EventStoreDbEventStore(store.url, { stream: store.stream, ...as })
    }
  }
}

/**
 * A shared ledger is append-only by the rights around it, and whole by its metadata. The server itself is asked for
 * both, before the ledger is opened. Rejects with LedgerRefused, or the store's StoreError.
 */
async function assertAppendOnly({ ledger: { store }, insecureLedger }: Config, log: Logger): Promise<void> {
  if (store.kind !== 'esdb') return
  const { looseEnds } = await import('./event-store/eventstoredb-setup.js')
  const { ownAclProblem } = await import('./event-store/eventstoredb-metadata.js')
  const { powers, ownAcl } = await looseEnds(parseAddress(store.url), store.stream)
  const problems: string[] = []
  if (powers.length > 0)
    problems.push(
      `this broker's EventStoreDB user may ${powers.join(' and ')}: run agentkeys-broker init-eventstore`,
    )
  if (ownAcl.length > 0) problems.push(ownAclProblem(store.stream, ownAcl))
  if (problems.length === 0) return
  const problem = problems.join('; ')
  if (!insecureLedger) throw new LedgerRefused(`${problem}, or try things out with --insecure-ledger`)
  log.warn({ powers, ownAcl }, `${problem}; --insecure-ledger lets it start all the same`)
}

interface Witnessed {
  store: EventStore
  tree: LogTree
  tiles: PublishedTiles
  tilesReach: (size: number) => Promise<void>
}

/** Shows the ledger, as it was found, to its witnesses: one that knows more of it stops the start. */
async function openWitnessing(
  { witness, release, dataDir }: Config,
  { signer }: LedgerKey,
  { log, onClose }: Context,
  { store, tree, tiles, tilesReach }: Witnessed,
): Promise<Witnessing | undefined> {
  if (witness.kind === 'none') return undefined
  const { key } = signer
  const witnessed = new CheckpointTrace(witnessedPath(dataDir), (error) =>
    log.error({ err: error }, 'the last witnessed checkpoint could not be kept'),
  )
  onClose(() => witnessed.close())
  const witnesses = new Witnesses({
    policy: readWitnessPolicy(witness.policyPath, key, isGated(release)),
    log: {
      async proof(oldSize, newSize) {
        await tilesReach(newSize)
        return tiles.consistency(oldSize, newSize)
      },
      // From the store itself: another broker may have shown the witness more than this one knows.
      async newest() {
        const size = Math.max(await store.size(), tree.checkpoint.size)
        await tilesReach(size)
        const root = Tree.at(size, tiles.hashes(size)).root()
        return parseSignedCheckpoint(signCheckpoint({ origin: key.name, size, root }, signer))
      },
    },
    limits: { ...DEFAULT_WITNESS_LIMITS, refreshMs: witness.refreshSeconds * 1000 },
    alarmPath: join(dataDir, 'witness-alarm.json'),
    onAlarm: (alarm) => log.error({ alarm }, 'minting stops: a witness contradicts the ledger'),
    onWitnessed: (checkpoint) => witnessed.remember(checkpoint),
    onStatus: (status) => log.warn({ witness: status }, 'witness'),
  })
  onClose(() => witnesses.close())
  const alarm = await witnesses.checkAtStart(tree.checkpoint)
  if (alarm) throw new LedgerRefused(alarm.reason)
  return { witnesses, timeoutMs: witness.timeoutSeconds * 1000 }
}
