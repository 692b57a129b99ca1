// The yardstick: a ledger that forgets. It is given to the same Nest application as the real one, so that what is left
// between the two is the price of recording. It lives here and nowhere else: no broker can be told to use it.

import { EMPTY_ROOT } from '../../src/domain/ledger/merkle.js'
import { signerFromSeed } from '../../src/domain/ledger/note.js'
import { GENESIS, type Sealed } from '../../src/domain/ledger/entry.js'
import type { LedgerEvent } from '../../src/domain/ledger/events.js'
import { MemoryEventStore } from '../../src/event-store/memory.js'
import { Appender } from '../../src/ledger/appender.js'
import { Ledger, type LedgerReference } from '../../src/ledger/ledger.js'
import { LogTree } from '../../src/ledger/log-tree.js'

export class UnrecordedLedger extends Ledger {
  private index = 0

  constructor(origin: string) {
    // The appender is there for the clock that mint ids are drawn from, the tree for its type: neither grows.
    const appender = new Appender(new MemoryEventStore(), undefined, () => new Date())
    const signer = signerFromSeed(origin, 'ed25519', new Uint8Array(32))
    const tree = new LogTree(0, { origin, signer, older: () => EMPTY_ROOT })
    super(origin, { vkey: '', appender, tree, witnessing: undefined, tilesReach: () => Promise.resolve() })
  }

  /** At once, with made-up entries: nothing is chained, hashed, stored or followed. */
  override append(events: readonly LedgerEvent[]): Promise<Sealed[]> {
    const time = '2026-01-01T00:00:00.000Z'
    return Promise.resolve(
      events.map(({ type, data }) => {
        const entry = {
          data: data as unknown as Sealed['entry']['data'],
          index: this.index++,
          prev: GENESIS,
          time,
          type,
        }
        return { entry: { ...entry, v: 1 }, text: '', leafHash: GENESIS }
      }),
    )
  }

  override release({ entry: { index }, leafHash }: Sealed): Promise<LedgerReference> {
    return Promise.resolve({ origin: this.origin, index, leaf_hash: leafHash, receipt: '' })
  }
}
