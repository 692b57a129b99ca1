// The yardstick: a ledger that forgets. It is given to the same Nest application as the real one, so that what is left
// between the two is the price of recording. It lives here and nowhere else: no broker can be told to use it.

import { GENESIS, type Sealed } from '../../src/domain/ledger/entry.js'
import type { LedgerEvent } from '../../src/domain/ledger/events.js'
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
  const instead: Pick<Ledger, 'append' | 'release'> = {
    append: (events) => Promise.resolve(events.map(madeUp)),
    release: ({ entry, leafHash }) =>
      Promise.resolve({ origin: ledger.origin, index: entry.index, leaf_hash: leafHash, receipt: '' }),
  }
  return Object.assign(Object.create(ledger) as Ledger, instead)
}
