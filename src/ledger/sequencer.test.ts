import { describe, expect, test } from '@jest/globals'

import { signed, SIGNER } from '../../test/support/ledger-signer.js'
import { FAULTS, FaultyStore } from '../../test/support/faulty-store.js'
import { chain, GENESIS, parseEntry, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type EventStore, StoreError, type Stored } from '../event-store/event-store.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { LedgerError } from '../domain/ledger-error.js'
import type { AppendCondition } from './callers.js'
import { Sequencer, type SequencerLimits, DEFAULT_LIMITS } from './sequencer.js'

const NOW = new Date('2026-11-20T12:00:00.000Z')
const QUICK: SequencerLimits = { ...DEFAULT_LIMITS, storeMs: 50, retryMs: 1 }

let seconds = 0
const event = (name: string): LedgerEvent => ({
  type: 'BrokerStarted',
  data: { node: name, version: '1', configSha256: 'f' },
})

function sequencer(store: EventStore, limits = QUICK, now = () => new Date(NOW.getTime() + (seconds += 1))) {
  return new Sequencer(store, undefined, now, () => undefined, limits, { signer: SIGNER })
}

/** One that has read the ledger up to `last`. */
function sequencerAfter(store: EventStore, last: Sealed) {
  const now = () => new Date(NOW.getTime() + (seconds += 1))
  return new Sequencer(store, last, now, () => undefined, QUICK, { signer: SIGNER })
}

/** The whole ledger, checked: contiguous, linked, canonical, in order of time. */
async function ledgerOf(store: EventStore): Promise<string[]> {
  const entries: Sealed[] = []
  for (;;) {
    const page = await store.read(entries.length, 1000)
    if (page.length === 0) break
    for (const { index, text } of page) {
      const sealed = parseEntry(text)
      expect(sealed.entry.index).toBe(index)
      expect(index).toBe(entries.length)
      expect(sealed.entry.prev).toBe(entries.at(-1)?.leafHash ?? GENESIS)
      expect(sealed.entry.time >= (entries.at(-1)?.entry.time ?? '')).toBe(true)
      entries.push(sealed)
    }
  }
  return entries.map(({ entry }) => entry.data['node'] as string)
}

test('events are chained in the order they arrive, one append for all that wait', async () => {
  const store = new FaultyStore(new MemoryEventStore())
  const writer = sequencer(store)
  const all = Array.from({ length: 300 }, (_, i) => writer.append([event(`a${i}`), event(`b${i}`)]))
  const entries = await Promise.all(all)

  expect(entries.map(([first, second]) => [first?.entry.index, second?.entry.index])).toEqual(
    all.map((_, i) => [2 * i, 2 * i + 1]),
  )
  expect(store.appends).toBeLessThanOrEqual(3)
  expect((await ledgerOf(store)).length).toBe(600)
})

/** Writes when it is asked to. */
class HeldStore extends MemoryEventStore {
  readonly groups: number[] = []
  private release: (() => void) | undefined

  override async append(entries: readonly Sealed[], expectedSize: number): Promise<void> {
    this.groups.push(entries.length)
    await new Promise<void>((resolve) => (this.release = resolve))
    await super.append(entries, expectedSize)
  }

  async write(): Promise<void> {
    this.release?.()
    await new Promise(setImmediate)
  }
}

describe('callers who come back as soon as they are served', () => {
  test('are parted into two halves: one is served while the store writes the other', async () => {
    const store = new HeldStore()
    const writer = sequencer(store, { ...QUICK, storeMs: 5_000 })
    let told = 0
    const again = async (): Promise<void> => {
      await writer.append([event('caller')])
      // Told before the store was given the next group, it would have stood still meanwhile.
      told += 1
      expect(store.groups.length).toBeGreaterThan(Math.floor((told - 1) / 20))
      return writer.size < 200 ? again() : undefined
    }
    const callers = Array.from({ length: 40 }, again)
    await new Promise(setImmediate)
    while (writer.size < 220) await store.write()
    await Promise.all(callers)

    expect(store.groups).toEqual(Array.from({ length: 11 }, () => 20))
    expect((await ledgerOf(store)).length).toBe(220)
  })

  test('are not parted where they are few', async () => {
    const store = new HeldStore()
    const writer = sequencer(store, { ...QUICK, storeMs: 5_000 })
    const callers = Array.from({ length: 16 }, () => writer.append([event('one of few')]))
    await new Promise(setImmediate)
    await store.write()
    await Promise.all(callers)
    expect(store.groups).toEqual([16])
    expect((await ledgerOf(store)).length).toBe(16)
  })
})

describe('a group of which a part was written', () => {
  const cuts = [1, 2, 3, 4, 5]
  test.each(cuts)(
    'after %i of six entries: none is there twice, and who has half of its own gets nothing',
    async (cut) => {
      const store = new FaultyStore(new MemoryEventStore())
      const writer = sequencer(store)
      store.cutAfter = cut
      const callers = ['a', 'b', 'c'].map((name) => writer.append([event(`${name}1`), event(`${name}2`)]))
      const outcomes = await Promise.allSettled(callers)
      const names = await ledgerOf(store)
      expect(new Set(names).size).toBe(names.length)
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled')
          expect(outcome.value.map(({ entry }) => names[entry.index])).toEqual(
            ['a', 'b', 'c'].slice(i, i + 1).flatMap((name) => [`${name}1`, `${name}2`]),
          )
        else expect(outcome.reason).toMatchObject({ code: 'in-doubt' })
      }
      const refused = outcomes.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))
      expect(refused).toEqual(cut % 2 === 0 ? [] : [(cut - 1) / 2])
      expect(names).toHaveLength(cut % 2 === 0 ? 6 : 5)
    },
  )

  test('and another writer went on behind it: theirs is taken over, the rest comes after it', async () => {
    const store = new FaultyStore(new MemoryEventStore())
    const writer = sequencer(store)
    store.cutAfter = 2
    store.afterCut = async (written) => store.append(signed([chain(written.at(-1), event('theirs'), NOW)]), 2)
    const callers = ['a', 'b'].map((name) => writer.append([event(`${name}1`), event(`${name}2`)]))
    expect((await Promise.all(callers)).flat().map(({ entry }) => entry.index)).toEqual([0, 1, 3, 4])
    expect(await ledgerOf(store)).toEqual(['a1', 'a2', 'theirs', 'b1', 'b2'])
  })
})

test('a caller never shares a group that is larger than the limit, and none is split', async () => {
  const store = new FaultyStore(new MemoryEventStore())
  const writer = sequencer(store, { ...QUICK, groupEntries: 4, groupBytes: 700 })
  const three = () => [event('x'), event('y'), event('z')]
  await Promise.all([
    writer.append(three()),
    writer.append(three()),
    writer.append([event('1')]),
    writer.append(three()),
  ])
  expect(await ledgerOf(store)).toEqual(['x', 'y', 'z', 'x', 'y', 'z', '1', 'x', 'y', 'z'])
  expect(store.appends).toBeGreaterThanOrEqual(3)
})

describe.each(FAULTS)('an append that meets "%s"', (fault) => {
  test('is confirmed only if it is in the ledger, is there at most once, and later appends work', async () => {
    const store = new FaultyStore(new MemoryEventStore())
    const writer = sequencer(store)
    await writer.append([event('before')])
    store.faults.push(fault)
    const outcome = await writer.append([event('hit')]).then(
      () => 'confirmed',
      (error: { code: string }) => error.code,
    )
    await writer.append([event('after')])

    const ledger = await ledgerOf(store)
    expect(ledger.filter((name) => name === 'hit')).toHaveLength(outcome === 'confirmed' ? 1 : 0)
    expect(outcome).toBe(
      fault === 'unavailable' ? 'unavailable' : fault === 'refused' ? 'failed' : 'confirmed',
    )
    expect(ledger.at(-1)).toBe('after')
  })

  test('may meet it again and again', async () => {
    const store = new FaultyStore(new MemoryEventStore())
    const writer = sequencer(store)
    // A certain failure after an uncertain one says nothing about the first: it stays uncertain until it is known.
    store.faults.push('unknown, persisted', fault, fault)
    await writer.append([event('hit')])
    await writer.append([event('after')])
    expect((await ledgerOf(store)).filter((name) => name === 'hit')).toHaveLength(1)
  })
})

test('while the outcome is unknown the caller gets an answer that says so, and what it wanted may still be recorded', async () => {
  const store = new FaultyStore(new MemoryEventStore())
  const writer = sequencer(store, { ...QUICK, callerMs: 40, storeMs: 20 })
  store.faults.push(...Array.from({ length: 4 }, () => 'no answer, not persisted' as const))
  await expect(writer.append([event('slow')])).rejects.toMatchObject({ code: 'in-doubt' })
  await writer.close()
  expect((await ledgerOf(store)).length).toBeLessThanOrEqual(1)
})

test('the events of a caller that gave up while it waited are not written', async () => {
  const store = new FaultyStore(new MemoryEventStore())
  const writer = sequencer(store, { ...QUICK, callerMs: 30, storeMs: 2_000 })
  store.faults.push('no answer, not persisted')
  const first = writer.append([event('first')])
  while (store.appends === 0) await new Promise(setImmediate)
  const second = writer.append([event('second')])
  expect(await Promise.allSettled([first, second])).toMatchObject([
    { reason: { code: 'in-doubt' } },
    { reason: { code: 'unavailable' } },
  ])
  await writer.close()
  expect(await ledgerOf(store)).not.toContain('second')
})

test('the queue is bounded', async () => {
  const store = new FaultyStore(new MemoryEventStore())
  const writer = sequencer(store, { ...QUICK, waiting: 3 })
  const accepted = [1, 2, 3].map((n) => writer.append([event(`${n}`)]))
  await expect(writer.append([event('4')])).rejects.toMatchObject({ code: 'unavailable' })
  await Promise.all(accepted)
  await writer.append([event('5')])
  expect(await ledgerOf(store)).toEqual(['1', '2', '3', '5'])
})

test('after a conflict the entries are chained onto what the other writer wrote', async () => {
  const store = new MemoryEventStore()
  const [mine, theirs] = [sequencer(store), sequencer(store)]
  await mine.append([event('m0')])
  await Promise.all([1, 2, 3].map((n) => theirs.append([event(`t${n}`)])))
  await mine.append([event('m1')])
  await Promise.all([mine.append([event('m2')]), theirs.append([event('t4')]), mine.append([event('m3')])])

  const ledger = await ledgerOf(store)
  expect([...ledger].sort()).toEqual(['m0', 'm1', 'm2', 'm3', 't1', 't2', 't3', 't4'])
  expect(ledger.filter((name) => name.startsWith('m'))).toEqual(['m0', 'm1', 'm2', 'm3'])
})

test('reading back may fail for a while: nothing is confirmed or written twice meanwhile', async () => {
  const store = new FaultyStore(new MemoryEventStore())
  const writer = sequencer(store)
  store.faults.push('unknown, persisted')
  store.readsFail = 3
  await writer.append([event('hit')])
  expect(await ledgerOf(store)).toEqual(['hit'])
})

/** The second read fails, as when the connection breaks between two pages. */
class Interrupted extends MemoryEventStore {
  private reads = 0

  override read(from: number, limit: number): Promise<Stored[]> {
    this.reads += 1
    if (this.reads === 2) return Promise.reject(new StoreError('unavailable', 'the connection was lost'))
    return super.read(from, limit)
  }
}

test("others' entries may be read in part only: ours come after what was read, and nothing is halted", async () => {
  const store = new Interrupted()
  await store.append(signed([chain(undefined, event('theirs'), NOW)]), 0)
  const writer = sequencer(store)
  await writer.append([event('mine')])
  expect(await ledgerOf(store)).toEqual(['theirs', 'mine'])
})

class Shrunk extends MemoryEventStore {
  override append(): Promise<void> {
    return Promise.reject(new StoreError('conflict', 'the stream is at another size'))
  }
}

test('a ledger that lost entries halts the writer, and it says what to do', async () => {
  const writer = sequencerAfter(new Shrunk(), chain(undefined, event('gone'), NOW))
  await expect(writer.append([event('x')])).rejects.toMatchObject({ code: 'failed' })
  expect(writer.status()).toEqual({
    ok: false,
    reason:
      'the ledger has fewer than the 1 entries it had before; run verify-ledger, then restore the ledger',
  })
  await expect(writer.append([event('y')])).rejects.toMatchObject({ code: 'failed' })
})

class Unreadable extends Shrunk {
  override read(): Promise<Stored[]> {
    return Promise.reject(new StoreError('unavailable', 'the connection was lost'))
  }
}

test('closed while no one can read what holds the place: unknown to its caller, and no damage to the ledger', async () => {
  const writer = sequencer(new Unreadable())
  const hit = writer.append([event('hit')]).catch((error: unknown) => error)
  while (writer.status().ok) await new Promise((resolve) => setTimeout(resolve, 1))
  await writer.close()
  expect(await hit).toMatchObject({ code: 'unavailable', message: 'the connection was lost' })
})

class Foreign extends Shrunk {
  override read(from: number): Promise<Stored[]> {
    const odd = chain(undefined, event('odd'), NOW).text.replace('"index":0', `"index":${from + 7}`)
    return Promise.resolve([{ index: from, text: odd }])
  }
}

test('an entry that does not follow halts the writer', async () => {
  const writer = sequencer(new Foreign())
  await expect(writer.append([event('x')])).rejects.toMatchObject({ code: 'failed' })
  expect(writer.status()).toMatchObject({ ok: false, reason: expect.stringContaining('does not follow') })
})

test('time never runs backwards in the ledger, nor in the clock that ids are drawn from', async () => {
  const store = new MemoryEventStore()
  let now = new Date('2026-11-20T12:00:10.000Z')
  const writer = sequencer(store, QUICK, () => now)
  await writer.append([event('a')])
  now = new Date('2026-11-20T11:00:00.000Z')
  const [entry] = await writer.append([event('b')])
  expect(entry?.entry.time).toBe('2026-11-20T12:00:10.000Z')
  expect(writer.clock().toISOString()).toBe('2026-11-20T12:00:10.000Z')
  expect(await ledgerOf(store)).toEqual(['a', 'b'])
})

test('an event too large for an entry is refused alone; its neighbours are written', async () => {
  const store = new MemoryEventStore()
  const writer = sequencer(store)
  const outcomes = await Promise.allSettled([
    writer.append([event('a')]),
    writer.append([event('x'.repeat(70_000))]),
    writer.append([event('b')]),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(outcomes[1]).toMatchObject({ reason: { code: 'too-large' } })
  expect(await ledgerOf(store)).toEqual(['a', 'b'])
})

test('after close nothing is taken any more, and what was taken is settled', async () => {
  const store = new MemoryEventStore()
  const writer = sequencer(store)
  const last = writer.append([event('last')])
  await writer.close()
  await last
  await expect(writer.append([event('x')])).rejects.toMatchObject({ code: 'unavailable' })
  expect(await ledgerOf(store)).toEqual(['last'])
})

class Locked extends Shrunk {
  constructor(private readonly refusal: StoreError) {
    super()
  }

  override read(): Promise<Stored[]> {
    return Promise.reject(this.refusal)
  }
}

test.each([
  ['may not be read now is not taken for a changed one: the next append asks again', false],
  ['is damaged halts the writer', true],
])('a ledger that, after a conflict, %s', async (_what, damage) => {
  const writer = sequencer(new Locked(new StoreError('refused', 'no', { damage })))
  await expect(writer.append([event('x')])).rejects.toMatchObject({ code: 'failed' })
  const { message } = (await writer.append([event('y')]).catch((error: unknown) => error)) as Error
  expect(message).toBe(damage ? 'no; run verify-ledger, then restore the ledger' : 'no')
})

describe('a cut-off', () => {
  const wallet = `0x${'a'.repeat(40)}`
  const target = { kind: 'wallet', target: wallet } as const
  const cutOff: LedgerEvent = { type: 'AccessCutOff', data: target }
  const unless =
    (which: string): AppendCondition =>
    ({ cutOffs }) => {
      const subject = { mintId: 'any', tokenSha256: 'a'.repeat(64), parents: [], roleArn: undefined }
      return cutOffs.covering({ ...subject, wallet: which }) && new LedgerError('cut-off', 'cut off')
    }

  test('refuses what is chained behind it, though both came in one append', async () => {
    const store = new MemoryEventStore()
    const writer = sequencer(store)
    const before = writer.append([event('before')], undefined, unless(wallet))
    const between = writer.append([cutOff])
    const after = writer.append([event('after')], undefined, unless(wallet))
    const other = writer.append([event('other')], undefined, unless(`0x${'b'.repeat(40)}`))
    await expect(after).rejects.toMatchObject({ code: 'cut-off' })
    await Promise.all([before, between, other])
    expect(writer.cutOffs.has(target)).toBe(true)
    expect(await ledgerOf(store)).toEqual(['before', undefined, 'other'])
  })

  test('of another broker refuses what loses the place to it', async () => {
    const store = new FaultyStore(new MemoryEventStore())
    const writer = sequencer(store)
    const [first] = await writer.append([event('first')])
    const rival = sequencerAfter(store, first!)
    await rival.append([cutOff])
    await expect(writer.append([event('late')], undefined, unless(wallet))).rejects.toMatchObject({
      code: 'cut-off',
    })
    expect(writer.cutOffs.has(target)).toBe(true)
    expect(await ledgerOf(store)).toEqual(['first', undefined])
  })
})
