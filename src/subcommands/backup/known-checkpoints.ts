// The checkpoints that this machine keeps apart from the ledger, and the key that must have signed them.

import { readFileSync } from 'node:fs'

import type { Config } from '../../config.js'
import { lastCheckpointPath, witnessedCheckpointPath } from '../../config/data-dir.js'
import {
  parseSignedCheckpoint,
  type SignedCheckpoint,
  verifyCheckpoint,
} from '../../domain/ledger/checkpoint.js'
import { FormatError } from '../../domain/ledger/encoding.js'
import { type LedgerKey, loadLedgerKey } from '../../ledger/key.js'
import { LedgerRefused } from '../../ledger/open-ledger.js'
import { RollbackGuard } from '../../ledger/rollback-guard.js'

/** The key that the ledger has for life; none is made here, where it would be taken for the broker's own. */
export function existingLedgerKey({ ledger: { keyPath, origin } }: Config): LedgerKey {
  const key = loadLedgerKey(keyPath, origin)
  if (key) return key
  throw new Error(
    `there is no ledger key at ${keyPath}: let BROKER_LEDGER_KEY_PATH name it, or restore it from its backup`,
  )
}

/** What was signed last, and what witnesses had of it last. Throws LedgerRefused for one of another key. */
export function rememberedCheckpoints(config: Config, key: LedgerKey): SignedCheckpoint[] {
  return [lastCheckpointPath(config.dataDir), witnessedCheckpointPath(config.dataDir)].flatMap((path) => {
    const checkpoint = new RollbackGuard(path, () => undefined).last()
    return checkpoint ? [signedBy(key, checkpoint, path)] : []
  })
}

/** A checkpoint from elsewhere. Throws LedgerRefused where it is not of this ledger's key. */
export function readCheckpoint(path: string, key: LedgerKey): SignedCheckpoint {
  try {
    return signedBy(key, parseSignedCheckpoint(readFileSync(path)), path)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new LedgerRefused(`${path} is no checkpoint: ${error.message}`)
  }
}

export function signedBy(key: LedgerKey, checkpoint: SignedCheckpoint, where: string): SignedCheckpoint {
  if (verifyCheckpoint(checkpoint, [key.signer.key]).ok) return checkpoint
  throw new LedgerRefused(`${where} is not signed by the ledger's own key, ${key.vkey}`)
}
