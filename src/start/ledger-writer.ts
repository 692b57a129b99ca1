// Step 6: the sequencer, and what it hands every durable append on to.

import { CutOffs } from '../domain/ledger/cut-offs.js'
import type { Sealed } from '../domain/ledger/entry.js'
import { Approvals } from '../domain/ledger/approvals.js'
import { Grants } from '../domain/ledger/grants.js'
import { UNSIGNED_FOR_MS } from '../domain/ledger/unsigned.js'
import { LedgerError } from '../domain/ledger-error.js'
import { ForeignEntries } from '../ledger/foreign-entries.js'
import { Ledger, type LedgerParts, type Witnessing } from '../ledger/ledger.js'
import type { LogTree } from '../ledger/log-tree.js'
import { Sequencer } from '../ledger/sequencer.js'
import type { LedgerIdentity } from './ledger-identity.js'
import type { OpenedStore } from './ledger-store.js'
import type { Opening } from './opening.js'
import type { ReadModels } from './read-models.js'

interface Checked {
  opened: OpenedStore
  identity: LedgerIdentity
  models: ReadModels
  tree: LogTree
  witnessing: Witnessing | undefined
}

export function openWriter(opening: Opening, checked: Checked): Ledger {
  const { identity, models, tree, witnessing, opened } = checked
  const sequencer = openSequencer(opening, checked)
  const { vkey } = identity.key
  const { tilesReach } = models
  const others = followOthers(opened, models, sequencer)
  const { origin } = opening.config.ledger
  const ledger = new Ledger(origin, { vkey, sequencer, tree, witnessing, tilesReach, ...others })
  opening.onClose(() => ledger.close())
  return ledger
}

function openSequencer(
  { dataDir, log, dependencies }: Opening,
  { opened: { store }, identity, models, tree, witnessing }: Checked,
): Sequencer {
  const { key, head, clock, rollbackGuard } = identity
  const committed = (entries: readonly Sealed[]) => {
    clock.saw(entries)
    const checkpoint = tree.append(entries)
    rollbackGuard.record(checkpoint)
    witnessing?.witnesses.offer(checkpoint)
  }
  return new Sequencer(models.shared ?? store, head, clock.now, committed, dependencies.limits, {
    signer: key.signer,
    keys: models.keys.known(),
    cutOffs: new CutOffs(models.audit.cutOffs()),
    grants: new Grants(models.audit.grantsInForce()),
    approvals: new Approvals(models.audit.standingApprovals(new Date(head.entry.time))),
    displaced: dataDir.displaced,
    onDoubt: (reason) =>
      log.error(
        `an append is in doubt; it is repeated, and nothing is handed out until it is settled: ${reason}. ` +
          'See that the disk, or the server and the way to it, works; no restart is needed',
      ),
    onHalt: (reason) => log.error(`nothing is minted any more: ${reason}`),
    onFromFuture: (problem) => log.error(`minting stops: ${problem}`),
  })
}

type Others = Pick<LedgerParts, 'newestSize' | 'contention' | 'problem' | 'probe'>

/** What other brokers write is taken over where the ledger is shared; elsewhere there is only the store to ask. */
function followOthers(
  { store, unreadable }: OpenedStore,
  { shared }: ReadModels,
  sequencer: Sequencer,
): Others {
  if (!shared) return { probe: () => store.size() }
  const foreign = new ForeignEntries(sequencer)
  shared.listen((batch) => foreign.add(batch))
  return {
    newestSize() {
      const problem = unreadable()
      return problem === undefined ? store.size() : Promise.reject(new LedgerError('unavailable', problem))
    },
    contention: shared.timer,
    problem: () => foreign.unsignedFor(UNSIGNED_FOR_MS),
  }
}
