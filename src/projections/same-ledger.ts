// Whether the ledger still holds what the read models were made of: they are a witness of how it was.

import { leafHash } from '../domain/ledger/entry.js'
import { type Finding, finding } from '../domain/ledger/findings.js'
import type { EventStore } from '../event-store/event-store.js'
import type { Head } from './read-models.js'

/**
 * The ledger no longer holds what the read models were made of: its end was cut off, or it was replaced. As the read
 * models are the witness of that, they are not thrown away for it.
 */
export class LedgerMismatch extends Error {
  constructor(
    readonly finding: Finding,
    store: string,
    readModel: string,
  ) {
    super(
      `${store}: ${finding.detail}. ${finding.advice} If the read model ${readModel} belongs to another ledger, ` +
        'move it away (with its -wal and -shm) and it is rebuilt',
    )
    this.name = 'LedgerMismatch'
  }
}

/**
 * Without this a ledger that lost its end would be followed in silence until it had grown to the old size again.
 * Rejects with LedgerMismatch or StoreError.
 */
export async function assertSameLedger(store: EventStore, head: Head, readModelPath: string): Promise<void> {
  const found = await contradiction(store, head)
  if (found) throw new LedgerMismatch(found, store.description, readModelPath)
}

async function contradiction(
  store: EventStore,
  { size, leafHash: known }: Head,
): Promise<Finding | undefined> {
  if (size === 0) return undefined
  const last = size - 1
  const there = await store.size()
  const stored = there < size ? undefined : (await store.read(last, 1))[0]
  if (!stored) {
    const detail =
      `the ledger has ${there} entries, and the read model was made of ${size}: ` +
      `from ${Math.min(there, last)} on they are missing, up to entry ${last} with the leaf hash ${known}`
    return finding(there, 'cut-off', detail)
  }
  const hash = hashOf(stored.text)
  if (hash === known) return undefined
  const detail = `entry ${last} has the leaf hash ${hash}, and the read model was made of one with ${known}`
  return finding(last, 'other-head', detail)
}

function hashOf(text: string): string {
  try {
    return leafHash(text)
  } catch {
    return 'none: it is too long for an entry'
  }
}
