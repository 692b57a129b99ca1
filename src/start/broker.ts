// Opens the broker's parts in the one order that is safe: the ledger before what follows it, the read models before
// anything is decided by them, the signing key announced before anything is signed with it.

import type { Logger } from 'pino'
import { v7 as uuidv7 } from 'uuid'

import { openSts } from '../aws/open-sts.js'
import type { Sts } from '../aws/sts.js'
import { unlessKeysChanged } from '../commands/change-keys.js'
import { RefusalCounter } from '../commands/refusal-counter.js'
import type { Config } from '../config.js'
import type { SessionBackendConfig } from '../config/session.js'
import { sessionsPath } from '../config/data-dir.js'
import { configSha256 } from '../config/effective.js'
import { isGated } from '../config/witness.js'
import type { MintPolicy } from '../domain/mint.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { LedgerError } from '../domain/ledger-error.js'
import { type Ledger } from '../ledger/ledger.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import { KeyAnnouncer, KeyRefused } from '../oidc/announce-key.js'
import { discardSigningKey } from '../oidc/key-file.js'
import { KeyRing } from '../oidc/key-ring.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import type { SessionBackend } from '../session/session-backend.js'
import { checkPolicy, type OpenPolicies } from '../policy/open-policies.js'
import { type LedgerStack, openLedgerStack, PRODUCTION } from './open-ledger-stack.js'
import type { Dependencies, Opening } from './opening.js'
import { openDataDir } from '../storage/data-dir.js'
import { looseModes } from '../storage/loose-modes.js'
import { type FileToken, loadOrCreateToken } from '../storage/token-file.js'
import { VERSION } from '../version.js'
import { readPolicyFile } from '../witness/witness-policy.js'

/** What serves requests: app.module.ts hands each part to Nest. */
export interface Parts extends LedgerStack, OpenPolicies {
  config: Config
  policy: MintPolicy
  sessions: SessionBackend
  signer: TokenSigner
  announcer: KeyAnnouncer
  sts: Sts
  refusals: RefusalCounter
  auditorToken: FileToken
  operatorToken: FileToken
}

const now = () => new Date()

/** A broker that is ready to serve, and how to take it down again. */
export interface Broker {
  parts: Parts
  /** Takes nothing new, settles what is under way, then lets go of files and connections. */
  close(): Promise<void>
}

/** Opens everything, or rejects with the reason; what was opened by then is closed again. */
export async function openBroker(
  config: Config,
  log: Logger,
  dependencies: Dependencies = PRODUCTION,
): Promise<Broker> {
  const opened: (() => unknown)[] = []
  const close = async () => {
    for (const step of opened.splice(0).reverse()) await step()
  }
  try {
    return { parts: await openParts(config, log, dependencies, (step) => opened.push(step)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openParts(
  config: Config,
  log: Logger,
  dependencies: Dependencies,
  onClose: (step: () => unknown) => void,
): Promise<Parts> {
  // Before anything is made: a file that cannot be used must not leave half a broker behind.
  if (config.witness.kind === 'policy') readPolicyFile(config.witness.policyPath, isGated(config.release))
  for (const problem of looseModes(config.dataDir, databasesOf(config))) log.warn(problem)
  const checkedPolicy = await checkPolicy(config.policyFiles, log)
  const dataDir = openDataDir(config.dataDir, config.nodeId, () => uuidv7())
  onClose(() => dataDir.release())
  const ring = KeyRing.open(config.oidcKeypairPath)
  log.info({ kid: ring.first.kid }, 'OIDC signer ready')
  // The system's, until the ledger is there to hold it against: a jump of years must not end every session.
  const time = { believed: now }
  const sessions = await openSessions(config.backend, config.dataDir, () => time.believed())
  onClose(() => sessions.close())
  if (sessions instanceof EmbeddedSessions) await sessions.open()
  const sts = await openSts(config.aws)
  onClose(() => sts.close())
  log.info(sts.describeCredentials())

  // Whatever can be refused is refused before the ledger hears of this start.
  const tokens = loadTokens(config)

  const opened = await openWithKeys(ring, { config, dataDir, log, onClose, dependencies })
  const { ledger, projector } = opened
  time.believed = opened.believed
  await projector.caughtUpTo(ledger.size)
  projector.started()
  const record = (event: LedgerEvent) => ledger.append([event])
  const inForce = await checkedPolicy.open({ node: dataDir.nodeId, record })

  const refusals = new RefusalCounter(now)
  onClose(writeRefusals(refusals, ledger, log))
  return {
    ...opened,
    ...tokens,
    ...inForce,
    ...{ config, policy: config.policy, sessions, sts, refusals },
    signer: openSigner(ring, opened, log),
  }
}

function databasesOf({ auditDbPath, ledger: { store } }: Config): string[] {
  return store.kind === 'sqlite' ? [store.path, auditDbPath] : [auditDbPath]
}

function loadTokens({
  auditorTokenFile,
  operatorTokenFile,
}: Config): Pick<Parts, `${'auditor' | 'operator'}Token`> {
  return {
    auditorToken: loadOrCreateToken(auditorTokenFile),
    operatorToken: loadOrCreateToken(operatorTokenFile),
  }
}

/** The ledger, in which a key of `ring` is the active one. A key that was made for nothing is taken away again. */
async function openWithKeys(
  ring: KeyRing,
  opening: Opening,
): Promise<LedgerStack & { announcer: KeyAnnouncer }> {
  const { config, dataDir } = opening
  const { first } = ring
  try {
    const stack = await openLedgerStack(opening)
    const announcer = new KeyAnnouncer(ring, stack.ledgerKey.signer)
    const data = { node: dataDir.nodeId, version: VERSION, configSha256: configSha256(config) }
    const shared = config.ledger.store.kind === 'esdb'
    await announceBroker(stack, announcer, { shared, started: { type: 'BrokerStarted', data } })
    return { ...stack, announcer }
  } catch (error) {
    if (error instanceof KeyRefused || error instanceof LedgerRefused) discardSigningKey(first.path, first)
    throw error
  }
}

/** Decided again for as long as brokers that start at the same moment change the keys under each other. */
async function announceBroker(
  { ledger, projector, keys }: LedgerStack,
  announcer: KeyAnnouncer,
  { shared, started }: { shared: boolean; started: LedgerEvent },
): Promise<void> {
  for (;;) {
    const known = keys.known()
    const events = announcer.ofStart(known, { shared, served: keys.served().count })
    try {
      await ledger.append([...events, started], undefined, unlessKeysChanged(known))
      return
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'keys-changed') throw error
      await projector.caughtUpTo(ledger.size)
    }
  }
}

/** The files follow the ledger: now, and whenever a broker, this one or another, changes the active key. */
function openSigner(ring: KeyRing, { ledger }: LedgerStack, log: Logger): TokenSigner {
  const settle = () => {
    try {
      if (ledger.keys) ring.settle(ledger.keys)
    } catch (error) {
      log.warn(
        { err: error },
        'the files of the signing keys could not be brought up to date; the next start tries again',
      )
    }
  }
  settle()
  const next = ledger.keys?.next
  if (!next) log.warn(`no signing key is published to be the next: none can be made in ${ring.folder}`)
  else if (!ring.get(next.kid))
    log.warn(
      `the next signing key, ${next.kid}, is not at this broker, which will not mint after a rotation: ` +
        `copy its file from the broker that made it into ${ring.folder}`,
    )
  return new TokenSigner(
    ring,
    () => ledger.keys,
    (kid) => {
      log.info({ kid }, 'tokens are signed with another key from now on')
      settle()
    },
  )
}

async function openSessions(
  backend: SessionBackendConfig,
  dataDir: string,
  believed: () => Date,
): Promise<SessionBackend> {
  switch (backend.kind) {
    case 'embedded':
      return new EmbeddedSessions(sessionsPath(dataDir), believed)
    case 'http': {
      // It brings an HTTP client, which no other broker needs.
      const { HttpSessionBackend } = await import('../session/http-backend.js')
      return new HttpSessionBackend({ url: backend.url, timeoutMs: backend.timeoutSeconds * 1000 })
    }
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
