// The yardsticks: a ledger that forgets, and one that records and proves nothing. They are given to the same Nest
// application as the real one, so that what is left between two of them is the price of recording, or that of receipts.
// They live here and nowhere else: no broker can be configured to use them.

import { GENESIS, type Sealed } from '../../src/domain/ledger/entry.js'
import type { LedgerEvent } from '../../src/domain/ledger/events.js'
import type { Sequencer } from '../../src/ledger/sequencer.js'
import type { Ledger } from '../../src/ledger/ledger.js'

const TIME = '2026-01-01T00:00:00.000Z'

/** `ledger`, but for what a mint does with it: nothing is chained, hashed, stored, followed or proved. */
export function unrecorded(ledger: Ledger): Ledger {
  let index = 0
  const madeUp = ({ type, data }: LedgerEvent): Sealed => {
    const known = { prev: GENESIS, time: TIME, type, v: 1 } as const
    const entry = { ...known, data: data as unknown as Sealed['entry']['data'], index: index++ }
    return { entry, text: '', leafHash: GENESIS }
  }
  return insteadOf(ledger, {
    append: (events) => Promise.resolve(events.map(madeUp)),
    release: withoutReceipt(ledger),
  })
}

/**
 * `ledger`, but for what a mint appends, which goes to `sequencer`. There is no receipt: what is behind this sequencer has
 * no read models.
 */
export function appendingTo(ledger: Ledger, sequencer: Sequencer): Ledger {
  return insteadOf(ledger, {
    append: (events, at, unlessCutOff) => sequencer.append(events, at, unlessCutOff),
    release: withoutReceipt(ledger),
  })
}

/** `ledger`, but for the receipt of a mint: everything is recorded, and nothing proved. */
export function unproved(ledger: Ledger): Ledger {
  return insteadOf(ledger, { release: withoutReceipt(ledger) })
}

function withoutReceipt({ origin }: Ledger): Ledger['release'] {
  return ({ entry, leafHash }) =>
    Promise.resolve({ origin, index: entry.index, leaf_hash: leafHash, receipt: '' })
}

function insteadOf(ledger: Ledger, members: Partial<Pick<Ledger, 'append' | 'release'>>): Ledger {
  return Object.assign(Object.create(ledger) as Ledger, members)
}
