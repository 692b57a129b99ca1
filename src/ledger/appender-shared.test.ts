// The appender beside other writers: what the live follow brings, turns, and keys that change under it.

import { SIGNATURES, signed, SIGNER } from '../../test/support/ledger-signer.js'
import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import { type SignedKeyState, signKey } from '../domain/ledger/ledger-signature.js'
import { type KeyState, SigningKeys } from '../domain/ledger/signing-keys.js'
import { expect, test } from '@jest/globals'

import { chain, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import {
  type EntryToAppend,
  type EventStore,
  StoreError,
  type StoreErrorCode,
  toStored,
} from '../event-store/event-store.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { Appender, type AppenderOptions, DEFAULT_LIMITS } from './appender.js'
import type { AppendEnd } from './contention/append-timer.js'

const NOW = new Date('2026-11-20T12:00:00.000Z')
const started = (node: string): LedgerEvent => ({
  type: 'BrokerStarted',
  data: { node, version: '1', configSha256: 'f' },
})
const builder = new LedgerBuilder()
const signature = (kid: string, state: SignedKeyState) =>
  signKey({ kid, thumbprint: thumbprint(builder.jwk(kid)), state }, SIGNER)
const activated = (kid: string): LedgerEvent => ({
  type: 'SigningKeyActivated',
  data: { kid, alg: 'ES256', signature: signature(kid, 'activated') },
})
const retired = (kid: string): LedgerEvent => ({
  type: 'SigningKeyRetired',
  data: { kid, alg: 'ES256', signature: signature(kid, 'retired') },
})
const published = (kid: string): LedgerEvent => ({
  type: 'SigningKeyPublished',
  data: { kid, alg: 'ES256', jwk: builder.jwk(kid), signature: signature(kid, 'published') },
})
const known = (...keys: [kid: string, state: KeyState][]) =>
  new SigningKeys(
    SIGNATURES,
    keys.map(([kid, state]) => ({ kid, thumbprint: thumbprint(builder.jwk(kid)), state, signed: true })),
  )
const issued = (kid: string) => ({ type: 'JwtIssued', data: { kid } }) as unknown as LedgerEvent

function chained(last: Sealed | undefined, events: LedgerEvent[]): EntryToAppend[] {
  const entries: Sealed[] = []
  for (const event of events) entries.push(chain(entries.at(-1) ?? last, event, NOW))
  return signed(entries)
}

function appender(store: EventStore, options: Omit<AppenderOptions, 'signer'> = {}) {
  const taken: number[] = []
  const take = (entries: readonly Sealed[]) => taken.push(...entries.map(({ entry }) => entry.index))
  return {
    taken,
    writer: new Appender(store, undefined, () => NOW, take, DEFAULT_LIMITS, { ...options, signer: SIGNER }),
  }
}
/** Others may write too; without a `turn` to wait for, nobody does. `ended`: what the appender told of each append. */
function beside(turn: Promise<void> | undefined) {
  const ended: AppendEnd[] = []
  const afterAppend = (end: AppendEnd) => void ended.push(end)
  return { ended, pacing: { alone: !turn, beforeAppend: () => turn, afterAppend, saw: () => {} } }
}

test('entries of others advance the head, once each; our own are skipped', async () => {
  const store = new MemoryEventStore()
  const { writer, taken } = appender(store)
  const theirs = chained(undefined, [started('a'), started('b')])
  await store.append(theirs, 0)
  writer.observe(theirs.map(toStored))
  const [mine] = await writer.append([started('mine')])
  writer.observe([...theirs, mine as Sealed].map(toStored))
  expect(taken).toEqual([0, 1, 2])
  expect(writer.size).toBe(3)
})

test('an entry that does not follow from the head halts the writer', async () => {
  const { writer } = appender(new MemoryEventStore())
  const [, second] = chained(undefined, [started('a'), started('b')])
  writer.observe([toStored(second!)])
  expect(writer.status()).toMatchObject({ ok: false, reason: expect.stringContaining('does not follow') })
  await expect(writer.append([started('x')])).rejects.toMatchObject({ code: 'failed' })
})

test('callers that arrive while it is not our turn go into the same append, however many', async () => {
  const store = new MemoryEventStore()
  let begin = () => {}
  const turn = new Promise<void>((resolve) => (begin = resolve))
  const { pacing, ended } = beside(turn)
  const { writer } = appender(store, { pacing })
  const first = writer.append([started('1')])
  await new Promise((resolve) => setTimeout(resolve, 5))
  const others = Array.from({ length: 50 }, (_, i) => writer.append([started(`${i}`)]))
  begin()
  await Promise.all([first, ...others])
  expect(ended).toEqual([50])
})

test('an append that another broker was faster than is told as lost, and is written after it', async () => {
  const store = new MemoryEventStore()
  const { pacing, ended } = beside(Promise.resolve())
  const { writer, taken } = appender(store, { pacing })
  await store.append(chained(undefined, [started('theirs')]), 0)
  const [mine] = await writer.append([started('mine')])
  expect(mine?.entry.index).toBe(1)
  expect(ended).toEqual(['lost', 1])
  expect(taken).toEqual([0, 1])
})

/** Fails its first appends, with these codes. */
class FailingStore extends MemoryEventStore {
  constructor(private readonly failures: StoreErrorCode[]) {
    super()
  }

  override append(entries: readonly Sealed[], expectedSize: number): Promise<void> {
    const code = this.failures.shift()
    return code ? Promise.reject(new StoreError(code, 'on order')) : super.append(entries, expectedSize)
  }
}

const ends: [string, StoreErrorCode[], AppendEnd[]][] = [
  ['was turned away', ['unavailable'], ['failed']],
  ['was refused', ['refused'], ['failed']],
  ['was in doubt, and then written', ['unknown', 'unknown'], [0]],
]
test.each(ends)('an append that %s is not told as lost to another broker', async (_what, failures, told) => {
  const { pacing, ended } = beside(undefined)
  const store = new FailingStore(failures)
  const { writer } = appender(store, { pacing })
  await writer.append([started('mine')]).catch(() => undefined)
  await writer.close()
  expect(ended).toEqual(told)
})

test('an append that was cut off in the middle, with nobody else about, has failed and not been lost', async () => {
  const store = new MemoryEventStore()
  const whole = store.append.bind(store)
  store.append = async (entries, expectedSize) => {
    store.append = whole
    await whole(entries.slice(0, 1), expectedSize)
    throw new StoreError('unknown', 'cut off')
  }
  const { pacing, ended } = beside(undefined)
  const { writer } = appender(store, { pacing })
  await Promise.all([writer.append([started('1')]), writer.append([started('2')])])
  expect(ended).toEqual(['failed', 1])
})

test('no token is recorded under a key that another broker has replaced, however late that became known', async () => {
  const store = new MemoryEventStore()
  const keys = known(['old', 'active'])
  const { writer } = appender(store, { keys })
  await writer.append([issued('old')])
  const before = writer.last
  const rotation = [published('new'), activated('new'), retired('old')]
  // Not observed: the conflict is the first that is heard of it.
  await store.append(chained(before, rotation), 1)
  await expect(writer.append([issued('old')])).rejects.toMatchObject({ code: 'key-not-active' })
  await writer.append([issued('new')])
  expect(await store.size()).toBe(5)
})

test.each([
  ['published a second time', [published('old')]],
  ['activated beside the active one', [published('new'), activated('new')]],
  ['activated again', [activated('old')]],
  ['taken back into use', [activated('gone'), retired('old')]],
])('a key that would be %s is not written: decide anew', async (_, events) => {
  const store = new MemoryEventStore()
  const { writer } = appender(store, { keys: known(['old', 'active'], ['gone', 'retired']) })
  await expect(writer.append(events)).rejects.toMatchObject({ code: 'keys-changed' })
  expect(await store.size()).toBe(0)
})
