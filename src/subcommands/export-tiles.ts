import { existsSync } from 'node:fs'

import type { Config } from '../config.js'
import { lastCheckpointPath, witnessedCheckpointPath } from '../config/data-dir.js'
import { type SignedCheckpoint, verifyCheckpoint } from '../domain/ledger/checkpoint.js'
import type { EventStore } from '../event-store/event-store.js'
import { RollbackGuard } from '../ledger/rollback-guard.js'
import { exportTiles } from './export-tiles/tile-export.js'
import { loadLedgerKey } from '../ledger/key.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import { openStore } from '../start/ledger-store.js'
import { codeOfFailure, type Outcome } from './outcome.js'

/**
 * Beside a running broker or without one: it reads, and shows the checkpoint that was signed, or witnessed, last. Makes
 * nothing but DIR.
 */
export async function exportTilesTo(directory: string, config: Config): Promise<Outcome> {
  let store: EventStore | undefined
  try {
    // Before the checkpoint: where there is no ledger either, a checkpoint that is missing is not the news.
    store = await existingStore(config)
    const { checkpoint, vkey } = signedLast(config)
    const written = await exportTiles({ store, checkpoint, vkey, directory, onProgress })
    return { code: 0, message: `${checkpoint.size} entries, ${written} files written to ${directory}` }
  } catch (error) {
    return { code: codeOfFailure(error), message: `export-tiles: ${(error as Error).message}` }
  } finally {
    await store?.close()
  }
}

/** What is not there is not made: a key or a ledger made here would be taken for the broker's own. */
class MissingFileError extends Error {}

function signedLast(config: Config): { checkpoint: SignedCheckpoint; vkey: string } {
  const { keyPath, origin } = config.ledger
  const checkpoint = new RollbackGuard(lastCheckpointPath(config.dataDir), () => undefined).last()
  if (!checkpoint)
    throw new MissingFileError(
      `no checkpoint was signed yet: ${lastCheckpointPath(config.dataDir)} is missing; start the broker once`,
    )
  const key = loadLedgerKey(keyPath, origin)
  if (!key)
    throw new MissingFileError(
      `there is no ledger key at ${keyPath}: let BROKER_LEDGER_KEY_PATH name it, or restore it from its backup`,
    )
  const shown = witnessedLast(config) ?? checkpoint
  for (const each of [checkpoint, shown])
    if (!verifyCheckpoint(each, [key.signer.key]).ok)
      throw new LedgerRefused(
        `${lastCheckpointPath(config.dataDir)} or ${witnessedCheckpointPath(config.dataDir)} is not signed by the key at ${keyPath}: put the right one back`,
      )
  return { checkpoint: shown, vkey: key.vkey }
}

/** Of a ledger with witnesses, readers are shown what had its quorum, as the broker does: anything else fails `--policy`. */
function witnessedLast({ witness, dataDir }: Config): SignedCheckpoint | undefined {
  if (witness.kind === 'none') return undefined
  return new RollbackGuard(witnessedCheckpointPath(dataDir), () => undefined).last()
}

async function existingStore({ ledger: { store }, insecureLedger }: Config): Promise<EventStore> {
  if (store.kind === 'sqlite' && !existsSync(store.path))
    throw new MissingFileError(`there is no ledger at ${store.path}: let BROKER_LEDGER_URL name it`)
  return openStore(store, { node: 'export-tiles', insecure: insecureLedger })
}

function onProgress(entries: number): void {
  if (process.stderr.isTTY && entries % 25_600 === 0) process.stderr.write(`\r${entries} entries`)
}
