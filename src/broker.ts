// Opens the broker's parts in the one order that is safe: the ledger before what follows it, the read models before
// anything is decided by them, the signing key announced before anything is signed with it.

import { join } from 'node:path'

import type { Logger } from 'pino'
import { v7 as uuidv7 } from 'uuid'

import { openSts } from './aws/open-sts.js'
import type { Sts } from './aws/sts.js'
import { RefusalCounter } from './commands/refusal-counter.js'
import type { Config, SessionBackendConfig } from './config.js'
import { configSha256 } from './config/effective.js'
import type { LedgerStoreConfig } from './config/ledger.js'
import type { MintPolicy } from './domain/mint.js'
import type { EventStore } from './event-store/event-store.js'
import { SqliteEventStore } from './event-store/sqlite.js'
import { Appender } from './ledger/appender.js'
import { loadOrCreateLedgerKey } from './ledger/key.js'
import { Ledger } from './ledger/ledger.js'
import { openLedger } from './ledger/open-ledger.js'
import { announceKey } from './oidc/announce-key.js'
import { loadOrCreateSigningKey } from './oidc/key-file.js'
import { TokenSigner } from './oidc/token-signer.js'
import { AuditQuery } from './projections/audit-query.js'
import { Projector } from './projections/projector.js'
import { KeysView } from './projections/signing-keys.js'
import { EmbeddedSessions } from './session/embedded-sessions.js'
import { HttpSessionBackend } from './session/http-backend.js'
import type { SessionBackend } from './session/session-backend.js'
import { openDataDir } from './storage/data-dir.js'
import { type FileToken, loadOrCreateToken } from './storage/token-file.js'
import { VERSION } from './version.js'

/** What serves requests: app.module.ts hands each part to Nest. */
export interface Parts {
  config: Config
  policy: MintPolicy
  sessions: SessionBackend
  ledger: Ledger
  signer: TokenSigner
  sts: Sts
  projector: Projector
  keys: KeysView
  audit: AuditQuery
  refusals: RefusalCounter
  auditorToken: FileToken
}

const now = () => new Date()

/** A broker that is ready to serve, and how to take it down again. */
export interface Broker {
  parts: Parts
  /** Takes nothing new, settles what is under way, then lets go of files and connections. */
  close(): Promise<void>
}

/** Opens everything, or rejects with the reason; what was opened by then is closed again. */
export async function openBroker(config: Config, log: Logger): Promise<Broker> {
  const opened: (() => unknown)[] = []
  const close = async () => {
    for (const step of opened.splice(0).reverse()) await step()
  }
  try {
    return { parts: await openParts(config, log, (step) => opened.push(step)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openParts(
  config: Config,
  log: Logger,
  onClose: (step: () => unknown) => void,
): Promise<Parts> {
  const { nodeId, release } = openDataDir(config.dataDir, config.nodeId, uuidv7)
  onClose(release)
  const key = loadOrCreateSigningKey(config.oidcKeypairPath, now())
  log.info({ kid: key.kid }, 'OIDC signer ready')
  const sessions = openSessions(config.backend, config.dataDir)
  onClose(() => sessions.close())
  const sts = openSts(config.aws)
  onClose(() => sts.close())
  log.info(sts.describeCredentials())

  const { origin, keyPath } = config.ledger
  const ledgerKey = loadOrCreateLedgerKey(keyPath, origin)
  const store = openStore(config.ledger.store, nodeId)
  onClose(() => store.close())
  const identity = { origin, vkey: ledgerKey.vkey, software: `agentkeys-broker/${VERSION}` }
  const head = await openLedger(store, identity, now())
  const size = head.entry.index + 1
  log.info({ ledger: store.description, origin, size }, 'ledger opened')

  const keys = new KeysView(now)
  const projector = new Projector(store, keys, { readModelPath: config.auditDbPath, log })
  onClose(() => projector.stop())
  await projector.start()
  await projector.caughtUpTo(size)

  const appender = new Appender(store, head, now)
  const ledger = new Ledger(origin, appender)
  onClose(() => ledger.close())
  await ledger.append([
    ...announceKey(key, keys),
    { type: 'BrokerStarted', data: { node: nodeId, version: VERSION, configSha256: configSha256(config) } },
  ])
  await projector.caughtUpTo(ledger.size)

  const refusals = new RefusalCounter(now)
  onClose(writeRefusals(refusals, ledger, log))
  const audit = new AuditQuery(config.auditDbPath)
  onClose(() => audit.close())
  return {
    ...{ config, policy: config.policy, sessions, ledger, sts, projector, keys, audit, refusals },
    signer: new TokenSigner(key),
    auditorToken: loadOrCreateToken(config.auditorTokenFile),
  }
}

function openSessions(backend: SessionBackendConfig, dataDir: string): SessionBackend {
  switch (backend.kind) {
    case 'embedded':
      return new EmbeddedSessions(join(dataDir, 'sessions.sqlite'), now)
    case 'http':
      return new HttpSessionBackend({ url: backend.url, timeoutMs: backend.timeoutSeconds * 1000 })
  }
}

function openStore(store: LedgerStoreConfig, _nodeId: string): EventStore {
  switch (store.kind) {
    case 'sqlite':
      return new SqliteEventStore(store.path)
    case 'esdb':
      throw new Error('BROKER_LEDGER_URL esdb:// is not served by this version yet: use sqlite:PATH')
  }
}

const REFUSALS_EVERY_MS = 60_000

/** One entry a minute at most, however many requests were refused. The counts of the last minute are written at the end. */
function writeRefusals(refusals: RefusalCounter, ledger: Ledger, log: Logger): () => Promise<void> {
  const write = async () => {
    const counted = refusals.take()
    if (!counted) return
    try {
      await ledger.append([counted])
    } catch (error) {
      log.warn({ ...counted.data, err: error }, 'refused requests could not be recorded')
    }
  }
  const timer = setInterval(() => void write(), REFUSALS_EVERY_MS)
  return async () => {
    clearInterval(timer)
    await write()
  }
}
