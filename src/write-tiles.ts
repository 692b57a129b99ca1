// agentkeys-broker export-tiles: the ledger's read side as files.

import type { Config } from './config.js'
import { CheckpointTrace } from './ledger/checkpoint-trace.js'
import { exportTiles } from './ledger/export-tiles.js'
import { loadOrCreateLedgerKey } from './ledger/key.js'
import { LedgerRefused } from './ledger/open-ledger.js'
import { openStore, tracePath } from './records.js'

/** Beside a running broker or without one: it reads, and shows the checkpoint that was signed last. */
export async function writeTiles(config: Config, directory: string): Promise<void> {
  const store = openStore(config.ledger.store, 'export-tiles')
  try {
    const checkpoint = new CheckpointTrace(tracePath(config), () => undefined).last()
    if (!checkpoint)
      return end(3, `no checkpoint was signed yet: ${tracePath(config)} is missing; start the broker once`)
    const { vkey } = loadOrCreateLedgerKey(config.ledger.keyPath, config.ledger.origin)
    const written = await exportTiles({ store, checkpoint, vkey, directory, onProgress })
    print(`${checkpoint.size} entries, ${written} files written to ${directory}`)
  } catch (error) {
    end(error instanceof LedgerRefused ? 1 : 3, `export-tiles: ${(error as Error).message}`)
  } finally {
    await store.close()
  }
}

function onProgress(entries: number): void {
  if (process.stderr.isTTY && entries % 25_600 === 0) process.stderr.write(`\r${entries} entries`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function end(code: number, message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = code
}
