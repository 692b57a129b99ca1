// Step 5: opens what the witnesses are shown and say: their policy, the proofs they ask for, the checkpoint they cosigned last.

import { witnessAlarmPath, witnessedCheckpointPath } from '../config/data-dir.js'
import { isGated } from '../config/witness.js'
import { parseSignedCheckpoint, signCheckpoint } from '../domain/ledger/checkpoint.js'
import { Tree } from '../domain/ledger/merkle.js'
import type { EventStore } from '../event-store/event-store.js'
import { RollbackGuard } from '../ledger/rollback-guard.js'
import type { LedgerKey } from '../ledger/key.js'
import type { Witnessing } from '../ledger/ledger.js'
import type { LogTree } from '../ledger/log-tree.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import type { PublishedTiles } from '../projections/published-tiles.js'
import { AlarmFile } from '../witness/witness-alarm.js'
import type { Opening } from './opening.js'
import type { OwnLog } from '../witness/witness.js'
import { readWitnessPolicy } from '../witness/witness-policy.js'

interface Witnessed {
  store: EventStore
  tree: LogTree
  tiles: PublishedTiles
  tilesReach: (size: number) => Promise<void>
}

/** Shows the ledger, as it was found, to its witnesses: one that knows more of it stops the start. */
export async function openWitnessing(
  { config: { witness, release, dataDir }, log, onClose }: Opening,
  { signer }: LedgerKey,
  { store, tree, tiles, tilesReach }: Witnessed,
): Promise<Witnessing | undefined> {
  const alarmFile = new AlarmFile(witnessAlarmPath(dataDir))
  const unresolved = alarmFile.unresolved()
  // Also without a policy: leaving the witness out does not make the ledger whole.
  if (unresolved) throw new LedgerRefused(unresolved.reason)
  if (witness.kind === 'none') return undefined
  // Their HTTP client is loaded by a broker that has witnesses, and by no other.
  const { Witnesses } = await import('../witness/witnesses.js')
  const { DEFAULT_WITNESS_LIMITS } = await import('../witness/witness.js')
  const witnessed = new RollbackGuard(witnessedCheckpointPath(dataDir), (error) =>
    log.error(`the newest witnessed checkpoint is not kept: ${error.message}`),
  )
  onClose(() => witnessed.close())
  const witnesses = new Witnesses({
    policy: readWitnessPolicy(witness.policyPath, signer.key, isGated(release)),
    log: shownLog(signer, { store, tree, tiles, tilesReach }),
    limits: {
      ...DEFAULT_WITNESS_LIMITS,
      gapMs: witness.gapMs,
      refreshMs: witness.refreshSeconds * 1000,
    },
    alarmFile,
    onAlarm: (alarm) => log.error({ alarm }, `minting stops: ${alarm.reason}`),
    onWitnessed: (checkpoint) => witnessed.record(checkpoint),
    onStatus: (status) => log.warn({ witness: status }, 'witness'),
  })
  onClose(() => witnesses.close())
  const alarm = await witnesses.checkAtStart(tree.checkpoint)
  if (alarm) throw new LedgerRefused(alarm.reason)
  return { witnesses, timeoutMs: witness.timeoutSeconds * 1000 }
}

/** What witnesses are shown: proofs of growth, and the newest head. */
function shownLog(signer: LedgerKey['signer'], { store, tree, tiles, tilesReach }: Witnessed): OwnLog {
  const { key } = signer
  return {
    key,
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
  }
}
