// The sequencer where other brokers append too: what the live follow delivers, turns, and keys that others change.

import { SIGNATURES, signed, SIGNER } from '../../test/support/ledger-signer.js'
import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import { type SignedKeyState, signKey } from '../domain/ledger/ledger-signature.js'
import { type KeyState, SigningKeys } from '../domain/ledger/signing-keys.js'
import { expect, test } from '@jest/globals'

import { chain, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { type EntryToAppend, type EventStore, type Stored, toStored } from '../event-store/event-store.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { Sequencer, type SequencerOptions, DEFAULT_LIMITS } from './sequencer.js'
import { ForeignEntries } from './foreign-entries.js'

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

function sequencer(store: EventStore, options: Omit<SequencerOptions, 'signer'> = {}) {
  const taken: number[] = []
  const take = (entries: readonly Sealed[]) => taken.push(...entries.map(({ entry }) => entry.index))
  const writer = new Sequencer(store, undefined, () => NOW, take, DEFAULT_LIMITS, {
    ...options,
    signer: SIGNER,
  })
  const foreign = new ForeignEntries(writer)
  return { taken, writer, observe: (batch: readonly Stored[]) => foreign.add(batch) }
}

/** Others append too: each append waits for `turn`. */
class TurnStore extends MemoryEventStore {
  readonly groups: number[] = []

  constructor(private readonly next: Promise<void>) {
    super()
  }

  override turn(): Promise<void> {
    return this.next
  }

  override append(entries: readonly EntryToAppend[], expectedSize: number): Promise<void> {
    this.groups.push(entries.length)
    return super.append(entries, expectedSize)
  }
}

test('entries of others advance the head, once each; our own are skipped', async () => {
  const store = new MemoryEventStore()
  const { writer, taken, observe } = sequencer(store)
  const theirs = chained(undefined, [started('a'), started('b')])
  await store.append(theirs, 0)
  observe(theirs.map(toStored))
  const [mine] = await writer.append([started('mine')])
  observe([...theirs, mine as Sealed].map(toStored))
  expect(taken).toEqual([0, 1, 2])
  expect(writer.size).toBe(3)
})

test('an entry that does not follow from the head halts the writer', async () => {
  const { writer, observe } = sequencer(new MemoryEventStore())
  const [, second] = chained(undefined, [started('a'), started('b')])
  observe([toStored(second!)])
  expect(writer.status()).toMatchObject({ ok: false, reason: expect.stringContaining('does not follow') })
  await expect(writer.append([started('x')])).rejects.toMatchObject({ code: 'failed' })
})

test('callers that arrive while another broker has the turn go into the same append, however many', async () => {
  let begin = () => {}
  const store = new TurnStore(new Promise<void>((resolve) => (begin = resolve)))
  const { writer } = sequencer(store)
  const first = writer.append([started('1')])
  await new Promise(setImmediate)
  const others = Array.from({ length: 50 }, (_, i) => writer.append([started(`${i}`)]))
  begin()
  await Promise.all([first, ...others])
  expect(store.groups).toEqual([51])
})

test('what arrives while an append is under way is taken over after it', async () => {
  const store = new TurnStore(Promise.resolve())
  const { writer, taken, observe } = sequencer(store)
  const appended = store.append.bind(store)
  let theirs: EntryToAppend[] = []
  store.append = async (entries, expectedSize) => {
    await appended(entries, expectedSize)
    theirs = chained(entries.at(-1), [started('theirs')])
    await appended(theirs, 1)
    observe(theirs.map(toStored))
    expect(taken).toEqual([])
  }
  await writer.append([started('mine')])
  await writer.close()
  expect(taken).toEqual([0, 1])
})

test('no token is recorded under a key that another broker has replaced, however late that became known', async () => {
  const store = new MemoryEventStore()
  const keys = known(['old', 'active'])
  const { writer } = sequencer(store, { keys })
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
])('a key that would be %s is not written, so that it is decided again', async (_, events) => {
  const store = new MemoryEventStore()
  const { writer } = sequencer(store, { keys: known(['old', 'active'], ['gone', 'retired']) })
  await expect(writer.append(events)).rejects.toMatchObject({ code: 'keys-changed' })
  expect(await store.size()).toBe(0)
})
