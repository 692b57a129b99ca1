// The appender beside other writers: what the live follow brings, turns, and keys that change under it.

import { expect, test } from '@jest/globals'

import { chain, type Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import { MemoryEventStore } from '../event-store/memory.js'
import { Appender, DEFAULT_LIMITS } from './appender.js'
import { KeyStates } from './key-states.js'

const NOW = new Date('2026-11-20T12:00:00.000Z')
const started = (node: string): LedgerEvent => ({
  type: 'BrokerStarted',
  data: { node, version: '1', configSha256: 'f' },
})
const key = (type: 'SigningKeyActivated' | 'SigningKeyRetired', kid: string): LedgerEvent => ({
  type,
  data: { kid, alg: 'ES256' },
})
const published = (kid: string): LedgerEvent => ({
  type: 'SigningKeyPublished',
  data: {
    kid,
    alg: 'ES256',
    jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid, alg: 'ES256', use: 'sig' },
  },
})
const issued = (kid: string) => ({ type: 'JwtIssued', data: { kid } }) as unknown as LedgerEvent

function chained(last: Sealed | undefined, events: LedgerEvent[]): Sealed[] {
  const entries: Sealed[] = []
  for (const event of events) entries.push(chain(entries.at(-1) ?? last, event, NOW))
  return entries
}

function appender(store: MemoryEventStore, options: ConstructorParameters<typeof Appender>[5] = {}) {
  const taken: number[] = []
  const take = (entries: readonly Sealed[]) => taken.push(...entries.map(({ entry }) => entry.index))
  return { taken, writer: new Appender(store, undefined, () => NOW, take, DEFAULT_LIMITS, options) }
}
const stored = (entries: Sealed[]) => entries.map(({ entry: { index }, text }) => ({ index, text }))

test('entries of others advance the head, once each; our own are skipped', async () => {
  const store = new MemoryEventStore()
  const { writer, taken } = appender(store)
  const theirs = chained(undefined, [started('a'), started('b')])
  await store.append(theirs, 0)
  writer.observe(stored(theirs))
  const [mine] = await writer.append([started('mine')])
  writer.observe(stored([...theirs, mine as Sealed]))
  expect(taken).toEqual([0, 1, 2])
  expect(writer.size).toBe(3)
})

test('an entry that does not follow from the head halts the writer', async () => {
  const { writer } = appender(new MemoryEventStore())
  const [, second] = chained(undefined, [started('a'), started('b')])
  writer.observe(stored([second as Sealed]))
  expect(writer.status()).toMatchObject({ ok: false, reason: expect.stringContaining('does not follow') })
  await expect(writer.append([started('x')])).rejects.toMatchObject({ code: 'failed' })
})

test('callers that arrive while it is not our turn go into the same append, however many', async () => {
  const store = new MemoryEventStore()
  let begin = () => {}
  const ended: (number | undefined)[] = []
  const turn = new Promise<void>((resolve) => (begin = resolve))
  const sharing = {
    alone: false,
    beforeAppend: () => turn,
    afterAppend: (last: number | undefined) => void ended.push(last),
    saw: () => {},
  }
  const { writer } = appender(store, { sharing })
  const first = writer.append([started('1')])
  await new Promise((resolve) => setTimeout(resolve, 5))
  const others = Array.from({ length: 50 }, (_, i) => writer.append([started(`${i}`)]))
  begin()
  await Promise.all([first, ...others])
  expect(ended).toEqual([50])
})

test('an append that another broker was faster than is told as lost, and is written after it', async () => {
  const store = new MemoryEventStore()
  const ended: (number | undefined)[] = []
  const sharing = {
    alone: false,
    beforeAppend: () => Promise.resolve(),
    afterAppend: (last: number | undefined) => void ended.push(last),
    saw: () => {},
  }
  const { writer, taken } = appender(store, { sharing })
  await store.append(chained(undefined, [started('theirs')]), 0)
  const [mine] = await writer.append([started('mine')])
  expect(mine?.entry.index).toBe(1)
  expect(ended).toEqual([undefined, 1])
  expect(taken).toEqual([0, 1])
})

test('no token is recorded under a key that another broker has replaced, however late that became known', async () => {
  const store = new MemoryEventStore()
  const keys = KeyStates.of([{ kid: 'old', over: false }], 'old')
  const { writer } = appender(store, { keys })
  await writer.append([issued('old')])
  const before = writer.last
  const rotation = [published('new'), key('SigningKeyActivated', 'new'), key('SigningKeyRetired', 'old')]
  // Not observed: the conflict is the first that is heard of it.
  await store.append(chained(before, rotation), 1)
  await expect(writer.append([issued('old')])).rejects.toMatchObject({ code: 'key-not-active' })
  await writer.append([issued('new')])
  expect(await store.size()).toBe(5)
})

test.each([
  ['published a second time', [published('old')]],
  ['activated beside the active one', [published('new'), key('SigningKeyActivated', 'new')]],
  ['activated again', [key('SigningKeyActivated', 'old')]],
  ['taken back into use', [key('SigningKeyActivated', 'gone'), key('SigningKeyRetired', 'old')]],
])('a key that would be %s is not written: decide anew', async (_, events) => {
  const store = new MemoryEventStore()
  const known = [
    { kid: 'old', over: false },
    { kid: 'gone', over: true },
  ]
  const { writer } = appender(store, { keys: KeyStates.of(known, 'old') })
  await expect(writer.append(events)).rejects.toMatchObject({ code: 'keys-changed' })
  expect(await store.size()).toBe(0)
})
