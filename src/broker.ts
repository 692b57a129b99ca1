// Opens the broker's parts in the one order that is safe: keys before the ledger that names them, the ledger before
// what follows it, the signing key announced before anything is signed with it.

import { hash } from 'node:crypto'

import type { Logger } from 'pino'
import { v7 as uuidv7 } from 'uuid'

import { openSts } from './aws/open-sts.js'
import type { Sts } from './aws/sts.js'
import { RefusalCounter } from './commands/refusal-counter.js'
import { type Config, effectiveConfig } from './config.js'
import { canonicalize } from './domain/ledger/canonical.js'
import { Tree } from './domain/ledger/merkle.js'
import type { MintPolicy } from './domain/mint.js'
import type { EventStore } from './event-store/event-store.js'
import { SqliteEventStore } from './event-store/sqlite.js'
import { Appender } from './ledger/appender.js'
import { loadOrCreateLedgerKey } from './ledger/key.js'
import { Ledger } from './ledger/ledger.js'
import { LogTree } from './ledger/log-tree.js'
import { openLedger } from './ledger/open-ledger.js'
import { announceKey } from './oidc/announce-key.js'
import { loadOrCreateSigningKey } from './oidc/key-file.js'
import { TokenSigner } from './oidc/token-signer.js'
import { AuditQuery } from './projections/audit-query.js'
import { Projector } from './projections/projector.js'
import { KeysView } from './projections/signing-keys.js'
import { openSessions } from './session/open-sessions.js'
import type { SessionBackend } from './session/session-backend.js'
import { openDataDir } from './storage/data-dir.js'
import { VERSION } from './version.js'

/** What serves requests: app.module.ts hands each part to Nest. */
export interface Parts {
  policy: MintPolicy
  sessions: SessionBackend
  ledger: Ledger
  signer: TokenSigner
  sts: Sts
  projector: Projector
  keys: KeysView
  audit: AuditQuery
  refusals: RefusalCounter
  close(): Promise<void>
}
