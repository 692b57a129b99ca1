import type { Config } from '../config.js'
import { CheckpointTrace } from '../ledger/checkpoint-trace.js'
import { exportTiles } from '../ledger/export-tiles.js'
import { loadOrCreateLedgerKey } from '../ledger/key.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import { openStore, tracePath } from '../records.js'
import type { Outcome } from './outcome.js'

/** Beside a running broker or without one: it reads, and shows the checkpoint that was signed last. */
export async function exportTilesTo(directory: string, config: Config): Promise<Outcome> {
  const store = await openStore(config.ledger.store, 'export-tiles')
  try {
    const checkpoint = new CheckpointTrace(tracePath(config), () => undefined).last()
    if (!checkpoint) {
      const message = `no checkpoint was signed yet: ${tracePath(config)} is missing; start the broker once`
      return { code: 3, message }
    }
    const { vkey } = loadOrCreateLedgerKey(config.ledger.keyPath, config.ledger.origin)
    const written = await exportTiles({ store, checkpoint, vkey, directory, onProgress })
    return { code: 0, message: `${checkpoint.size} entries, ${written} files written to ${directory}` }
  } catch (error) {
    return {
      code: error instanceof LedgerRefused ? 1 : 3,
      message: `export-tiles: ${(error as Error).message}`,
    }
  } finally {
    await store.close()
  }
}

function onProgress(entries: number): void {
  if (process.stderr.isTTY && entries % 25_600 === 0) process.stderr.write(`\r${entries} entries`)
}
