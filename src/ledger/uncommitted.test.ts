// An append that a cluster has accepted and not committed holds its place: a conflict, and nothing that can be read. Who
// meets it repeats the same bytes, with a pause.

import { expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { signed, SIGNER } from '../../test/support/ledger-signer.js'
import { type EntryToAppend, StoreError } from '../event-store/event-store.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { migrateLedger } from './migrate.js'
import { openLedger } from './open-ledger.js'

const CONFLICTS = 3

/** Another append holds the place for the first few tries, and is then taken back. */
class Held extends MemoryEventStore {
  readonly tries: { at: number; texts: string[] }[] = []

  override append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    this.tries.push({ at: performance.now(), texts: entries.map(({ text }) => text) })
    if (this.tries.length > CONFLICTS) return super.append(entries, expectedSize)
    return Promise.reject(new StoreError('conflict', `the ledger has ${expectedSize + 1} entries`))
  }

  expectSameBytesWithPauses(): void {
    expect(this.tries).toHaveLength(CONFLICTS + 1)
    for (const [i, { at, texts }] of this.tries.entries()) {
      expect(texts).toEqual(this.tries[0]?.texts)
      // Timers may be a millisecond early.
      if (i > 0) expect(at - (this.tries[i - 1]?.at ?? 0)).toBeGreaterThan(90)
    }
  }
}

test('a ledger is opened although another first append is held for a while', async () => {
  const store = new Held()
  const { entry } = await openLedger(store, { signer: SIGNER, software: 'x/1' }, new Date('2026-01-01'))
  expect(entry).toMatchObject({ index: 0, type: 'LedgerOpened' })
  store.expectSameBytesWithPauses()
})

test('a ledger is moved although another append is held for a while', async () => {
  const { entries } = LedgerBuilder.opened().oidcMint()
  const from = new MemoryEventStore()
  await from.append(signed(entries), 0)
  const to = new Held()
  expect(await migrateLedger({ from, to })).toEqual({ size: entries.length, copied: entries.length })
  expect(await to.read(0, 10)).toEqual(await from.read(0, 10))
  to.expectSameBytesWithPauses()
})
