// The thread that owns the connection to EventStoreDB ends, as it does when it has used up its memory or the client
// threw where no one catches it. What was under way is reported as what it is, and the next question starts another thread.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Worker } from 'node:worker_threads'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import type { AppendFault } from '../support/eventstoredb/faults.js'
import { appendUntilSettled, Follower, readAll, STREAM, textsOf } from '../support/eventstoredb/ledger.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { until } from '../support/until.js'

/** Longer than a test may take: what is given up was given up for another reason. */
const NEVER_MS = 600_000
/** The longest that a URL may ask for. */
const LONGEST_DEADLINE_MS = 6_000

const entries = entriesFrom(undefined, 6)
const [first, second] = [entries.slice(0, 3), entries.slice(3)]

let standIn: StandIn
let store: EventStoreDbEventStore
const cleanup: (() => unknown)[] = []
/** The threads that were started, oldest first. Node tells of each on this channel. */
const threads: Worker[] = []
const noted = (message: unknown) => void threads.push((message as { worker: Worker }).worker)

beforeEach(async () => {
  subscribe('worker_threads', noted)
  standIn = await new StandIn().start()
  cleanup.push(() => standIn.dispose())
  store = patientStore('n1')
  await store.append(first, 0)
  expect(threads).toHaveLength(1)
})
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
  unsubscribe('worker_threads', noted)
  threads.length = 0
})

/** A store that waits as long as it can. */
function patientStore(node: string): EventStoreDbEventStore {
  const url = `${standIn.url}&defaultDeadline=${LONGEST_DEADLINE_MS}`
  return closing(new EventStoreDbEventStore(url, { stream: STREAM, node, silenceMs: NEVER_MS }))
}

function closing(opened: EventStoreDbEventStore): EventStoreDbEventStore {
  cleanup.push(() => opened.close())
  return opened
}

/** The thread is gone, whatever it was doing. */
async function loseThread(): Promise<void> {
  await threads[0]?.terminate()
}

/** `second` is on its way when the thread ends; with `written`, the node has stored it and said nothing. */
async function loseAppend(fault: AppendFault): Promise<void> {
  standIn.appends.next(fault)
  const lost = store.append(second, 3)
  const rejected = expect(lost).rejects.toMatchObject({
    ...{ name: 'StoreError', code: 'unknown', message: 'the ledger thread ended' },
  })
  const size = fault === 'swallow' ? 3 : 6
  await until(() => standIn.calls.filter((call) => call === 'append').length === 2)
  await until(() => standIn.database.events(STREAM).length === size)
  await loseThread()
  await rejected
}

describe('an append is in flight', () => {
  const cases: { fault: AppendFault; then: string }[] = [
    { fault: 'swallow', then: 'was not stored' },
    { fault: 'commit-then-swallow', then: 'was stored' },
  ]
  test.each(cases)(
    'and $then: it is unknown, and the same append again stores it once',
    async ({ fault }) => {
      await loseAppend(fault)
      await store.append(second, 3)
      expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
      expect(threads).toHaveLength(2)
    },
  )

  test('and another broker took its place: a conflict', async () => {
    await loseAppend('swallow')
    const theirs = entriesFrom(first[2], 2, 'another')
    await patientStore('n2').append(theirs, 3)
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'conflict' })
    expect(textsOf(await readAll(store))).toEqual(textsOf([...first, ...theirs]))
  })

  test('the new thread knows of the doubt: a repeat confirmed by its ids, over other content, is not believed', async () => {
    await loseAppend('commit-then-swallow')
    standIn.database.overwrite(STREAM, 4, { data: Buffer.from('{"forged":true}') })
    await expect(store.append(second, 3)).rejects.toMatchObject({
      code: 'refused',
      message:
        'EventStoreDB confirmed the append but holds other entries in its place; stop all brokers, run verify-ledger ' +
        'with the newest last-checkpoint of any broker, and restore the nodes from a backup that verifies',
    })
  })

  test('the new thread knows of the doubt: a repeat whose ids the server no longer knows is found by reading', async () => {
    await loseAppend('commit-then-swallow')
    standIn.database.overwrite(STREAM, 3, { id: crypto.randomUUID() })
    await store.append(second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })

  test('the doubt outlives a node that turns the repeat away', async () => {
    await loseAppend('commit-then-swallow')
    standIn.appends.next('busy')
    await expect(store.append(second, 3)).rejects.toMatchObject({ code: 'unknown' })
    await store.append(second, 3)
    expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
  })
})

describe('a reader', () => {
  test('that waits is asked to retry, and is answered by the next thread', async () => {
    standIn.reads.next('swallow')
    const calls = standIn.calls.length
    const lost = expect(store.read(0, 10)).rejects.toMatchObject({ code: 'unavailable' })
    await until(() => standIn.calls.length > calls)
    await loseThread()
    await lost
    expect(textsOf(await store.read(0, 10))).toEqual(textsOf(first))
  })

  test('that follows gets an error, and a new following goes on without gap or repeat', async () => {
    const follower = new Follower(store)
    await follower.has(3)
    await loseThread()
    await expect(follower.ended).rejects.toMatchObject({ name: 'StoreError', code: 'unavailable' })
    await store.append(second, 3)
    const again = new Follower(store, follower.got.length)
    const more = entriesFrom(entries[5], 4)
    await store.append(more, 6)
    await again.has(7)
    await again.end()
    expect(textsOf([...follower.got, ...again.got])).toEqual(textsOf([...entries, ...more]))
  })

  test('that follows and was not waiting when the thread ended gets the error when it asks', async () => {
    const batches = store.follow(0, new AbortController().signal)[Symbol.asyncIterator]()
    const given = await batches.next()
    expect(textsOf(given.done ? [] : given.value)).toEqual(textsOf(first))
    await loseThread()
    // Somebody else has started the next thread, which knows nothing of the following.
    expect(await store.size()).toBe(3)
    await expect(batches.next()).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the ledger thread was restarted' },
    })
  })

  test('that follows is not given the entries of another following of the next thread', async () => {
    const former = new Follower(store)
    await former.has(3)
    await loseThread()
    await expect(former.ended).rejects.toMatchObject({ code: 'unavailable' })
    const [all, tail] = [new Follower(store), new Follower(store, 2)]
    await Promise.all([all.has(3), tail.has(1)])
    await Promise.all([all.end(), tail.end()])
    expect([textsOf(all.got), textsOf(tail.got)]).toEqual([textsOf(first), textsOf(first.slice(2))])
  })
})

describe('closing ends the thread, whatever is under way', () => {
  const hanging: [string, () => Promise<unknown>, string][] = [
    [
      'a read that hangs',
      () => {
        standIn.reads.next('swallow')
        return store.read(0, 10)
      },
      'unavailable',
    ],
    [
      'a read that stopped in the middle',
      () => {
        standIn.reads.next('stall')
        return store.read(0, 10)
      },
      'unavailable',
    ],
    [
      'an append that hangs',
      () => {
        standIn.appends.next('swallow')
        return store.append(second, 3)
      },
      'unknown',
    ],
  ]
  test.each(hanging)('%s', async (_what, begin, code) => {
    const calls = standIn.calls.length
    const given = expect(begin()).rejects.toMatchObject({ name: 'StoreError', code })
    await until(() => standIn.calls.length > calls)
    await store.close()
    await given
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1])
  })

  test('a following that waits', async () => {
    const follower = new Follower(store)
    await follower.has(3)
    await store.close()
    // Ended or cut off, as it comes: it does not go on waiting.
    await follower.ended.catch((error: unknown) => expect(error).toMatchObject({ code: 'unavailable' }))
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1])
  })

  test('a node that is gone', async () => {
    const follower = new Follower(store)
    await follower.has(3)
    standIn.kill()
    await store.close()
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1])
  })
})

test('a thread that ends again and again while entries are written: each is stored once, in order', async () => {
  const long = entriesFrom(undefined, 33)
  for (let at = 3; at < 33; at += 5) {
    const settled = appendUntilSettled(store, long.slice(at, at + 5), at)
    await threads.at(-1)?.terminate()
    await settled
  }
  expect(textsOf(await readAll(store))).toEqual(textsOf(long))
})
