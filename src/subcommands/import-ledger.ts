// agentkeys-broker import SOURCE: the entries that this ledger lacks, from an export or a mirror of it, byte for byte. The
// only other way to add to a ledger than to be its broker, so nothing is added that its own key has not signed for.

import { join } from 'node:path'

import { v7 as uuidv7 } from 'uuid'

import { openSource, parseSource } from '../../tools/verify-ledger/sources/open.js'
import { type Source, SourceFault } from '../../tools/verify-ledger/sources/source.js'
import { UsageError } from '../../tools/verify-ledger/usage-error.js'
import type { Config } from '../config.js'
import { lastCheckpointPath } from '../config/data-dir.js'
import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
} from '../domain/ledger/checkpoint.js'
import type { EventStore } from '../event-store/event-store.js'
import type { LedgerKey } from '../ledger/key.js'
import { migrateLedger } from '../ledger/migrate.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import { openStore } from '../start/ledger-store.js'
import type { ImportLine } from '../start/recovery-line.js'
import { writeFileAtomically } from '../storage/atomic-file.js'
import { openDataDir } from '../storage/data-dir.js'
import {
  existingLedgerKey,
  readCheckpoint,
  rememberedCheckpoints,
  signedBy,
} from './backup/known-checkpoints.js'
import { StagedLedger } from './backup/staged-ledger.js'
import { codeOfFailure, type Outcome } from './outcome.js'

export async function importFrom(line: ImportLine, config: Config): Promise<Outcome> {
  const opened: { close(): unknown }[] = []
  try {
    const dataDir = openDataDir(config.dataDir, config.nodeId, uuidv7)
    opened.push({ close: () => dataDir.release() })
    const source = await openSource(await parseSource(line.source), { tokenFile: line.tokenFile })
    opened.push(source)
    const key = existingLedgerKey(config)
    const checkpoints = checkpointsFor(source, line, config, key)
    const staged = new StagedLedger(join(config.dataDir, 'import.sqlite'), key.signer)
    opened.push(staged)
    const size = await staged.take(source, checkpoints)
    const store = await openStore(config.ledger.store, {
      node: dataDir.nodeId,
      insecure: config.insecureLedger,
    })
    opened.push(store)
    const copied = await bring(staged.store, store)
    remember(config, checkpoints)
    return { code: 0, message: report(source, { size, copied }) }
  } catch (error) {
    return { code: codeOf(error), message: `import: ${(error as Error).message}` }
  } finally {
    for (const each of opened.reverse()) await each.close()
  }
}

function codeOf(error: unknown): Outcome['code'] {
  if (error instanceof UsageError) return 2
  return error instanceof SourceFault ? 1 : codeOfFailure(error)
}

/** All that is known of the ledger's heads: each has to hold for what is imported. */
function checkpointsFor(
  source: Source,
  { checkpoint }: ImportLine,
  config: Config,
  key: LedgerKey,
): SignedCheckpoint[] {
  const own = source.log && parseSignedCheckpoint(source.log.checkpoint)
  return [
    ...rememberedCheckpoints(config, key),
    ...(own ? [signedBy(key, own, `the checkpoint of ${source.description}`)] : []),
    ...(checkpoint === undefined ? [] : [readCheckpoint(checkpoint, key)]),
  ]
}

async function bring(from: EventStore, to: EventStore): Promise<number> {
  const [there, found] = [await to.size(), await from.size()]
  if (there > found)
    throw new LedgerRefused(
      `${to.description} has ${there} entries, and the source only the first ${found} of them: nothing is missing that it has`,
    )
  return (await migrateLedger({ from, to })).copied
}

/** What was imported is remembered as if it had been signed here: an older copy is refused from now on. */
function remember(config: Config, checkpoints: readonly SignedCheckpoint[]): void {
  const [newest] = [...checkpoints].sort((a, b) => b.size - a.size)
  const path = lastCheckpointPath(config.dataDir)
  if (newest) writeFileAtomically(path, formatSignedCheckpoint(newest), 0o600)
}

function report({ description }: Source, { size, copied }: { size: number; copied: number }): string {
  if (copied === 0) return `nothing was missing: the ledger has all ${size} entries of ${description}`
  const first = size - copied
  return (
    `${copied} missing entries, ${first} to ${size - 1}, are there now, byte for byte as in ${description}, and a ` +
    "signature of the ledger's own key holds for them: start the broker"
  )
}
