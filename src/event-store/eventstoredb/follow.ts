// Following the ledger's stream: a subscription of EventStoreDB never comes back by itself, does not notice that its
// stream was truncated, and waits in silence where the stream has become shorter than the place it starts from.

import { setTimeout as pause } from 'node:timers/promises'

import { type ResolvedEvent, START } from '@eventstore/db-client'

import { StoreError, type Stored } from '../event-store.js'
import { Arrivals } from './arrivals.js'
import type { ServerStream } from './connection.js'
import { PUT_BACK, readFailure } from './errors.js'
import { OwnAppends } from './own-appends.js'
import { contiguous, type LedgerStream } from './stream.js'
import { subscribe, type Subscription } from './subscription.js'

/** After so many entries in a row of our own, the broker counts as alone until its own appends are invalidated. */
const SOLO_AFTER_ENTRIES = 1_000
const FIRST_PAUSE_MS = 100
/** Longer ones keep a broker standing still after an outage that is over, while others mint. */
const LONGEST_PAUSE_MS = 1_000

/** How often it is asked whether this broker may still see the ledger and its metadata, and what that says. */
const LOOK_MS = 2_000

/** Every which look tries also what the user may do beyond reading and appending. */
const LOOKS_PER_PROBE = 5

/**
 * Every entry from index `from` on; subscribes again as often as it takes. Ends when `signal` aborts. Yields an empty
 * batch each time that it begins to follow, once the ledger and its metadata were seen.
 */
export async function* follow(
  stream: LedgerStream,
  from: number,
  signal: AbortSignal,
  own = new OwnAppends(undefined),
): AsyncGenerator<Stored[], void> {
  let next = from
  let before: Stored | undefined
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      before = await orAborted(proven(stream, next, before), signal)
      yield []
      for await (const batch of subscription(stream, next, { signal, own })) {
        failures = 0
        next += batch.length
        before = batch.at(-1)
        yield batch
      }
    } catch (error) {
      if (signal.aborted) return
      const failure = readFailure(error)
      if (failure.code === 'refused') throw failure
    }
    await rest(failures, signal)
  }
}

/** The entry before `next`, which must be there and, after the first time, be the one that was delivered. */
async function proven(
  stream: LedgerStream,
  next: number,
  delivered: Stored | undefined,
): Promise<Stored | undefined> {
  await stream.assertSound()
  if (next === 0) {
    // Shows that it may be read.
    await stream.size()
    return undefined
  }
  const [before] = await stream.read(next - 1, 1)
  if (!before)
    throw new StoreError(
      'refused',
      `the ledger has no entry ${next - 1}, and this broker has read it: an older backup was put back, or the nodes are others; ${PUT_BACK}`,
    )
  if (delivered && before.text !== delivered.text)
    throw new StoreError(
      'refused',
      `entry ${next - 1} of the ledger is not the one that this broker has read: it was rewritten, or the nodes are others; ${PUT_BACK}`,
    )
  return before
}

/**
 * One subscription, until it ends or fails. What was appended together is handed on together.
 *
 * A broker that has followed only its own entries for a while ends its subscription: the server's confirmations say all
 * that the subscription would, for a third of the processor's time. As soon as one of its appends is not confirmed, or it
 * has appended nothing for a moment, this ends, and the next subscription begins.
 */
async function* subscription(
  stream: LedgerStream,
  from: number,
  { signal, own }: { signal: AbortSignal; own: OwnAppends },
): AsyncGenerator<Stored[], void> {
  if (signal.aborted) return
  const { connection, metastream } = stream
  const subscribed = await opened(stream, from, signal)
  const arrivals = new Arrivals(subscribed)
  const entries = subscribed.messages
  const { client, credentials } = connection
  const metadata = connection.open(client.subscribeToStream(metastream, { credentials, fromRevision: START }))
  own.subscribed()
  const failed = (problem: Error) => {
    entries.destroy(problem)
    own.invalidate(problem)
  }
  watchMetadata(stream, metadata, failed)
  const waiting: Subscriptions = { for: from }
  const looking = lookRegularly(stream, waiting, failed)
  const stop = () => {
    entries.destroy()
    own.invalidate()
  }
  signal.addEventListener('abort', stop)
  try {
    let next = from
    let ownInARow = 0
    for (let found = await arrivals.next(); found; found = await arrivals.next()) {
      waiting.for = undefined
      const batch = contiguous(found, next)
      next += batch.length
      yield batch
      ownInARow = batch.every(({ by }) => own.isOurs(by)) ? ownInARow + batch.length : 0
      if (ownInARow >= SOLO_AFTER_ENTRIES && own.covers(next)) break
      waiting.for = next
    }
    if (ownInARow < SOLO_AFTER_ENTRIES) return
    connection.release(entries)
    yield* own.from(next)
  } finally {
    clearInterval(looking)
    signal.removeEventListener('abort', stop)
    connection.release(entries)
    connection.release(metadata)
  }
}

/** Opening may take long where a node has to be found first: an abort does not wait for it. */
async function opened(
  { connection, name }: LedgerStream,
  from: number,
  signal: AbortSignal,
): Promise<Subscription> {
  const opening = subscribe(connection, name, from)
  try {
    return await orAborted(opening, signal)
  } catch (error) {
    opening.then(
      ({ messages }) => connection.release(messages),
      () => undefined,
    )
    throw error
  }
}

/** The entry a subscription waits for; undefined while the last ones are being handled. */
interface Subscriptions {
  for: number | undefined
}

/**
 * A subscription can be open and dead: never confirmed, cut off behind a proxy, or without the right it began with. So the
 * head of the ledger is asked for, which must not be further on than what has come, and its metadata: an open
 * subscription to that has nothing to say for years. Asking also shows a node that froze.
 */
function lookRegularly(
  stream: LedgerStream,
  waiting: Subscriptions,
  failed: (error: Error) => void,
): NodeJS.Timeout {
  let before: number | undefined
  let looking = false
  let looks = 0
  // A default ACL is changed in a stream that this user may not read: only trying shows what it gives.
  const powers = async () => {
    looks += 1
    if (looks % LOOKS_PER_PROBE === 0) await stream.assertPowerless()
  }
  const look = async () => {
    const next = waiting.for
    const idle = next !== undefined && next === before
    before = next
    try {
      const [size] = await Promise.all([stream.size(), stream.assertSound(), powers()])
      if (idle && size > next && waiting.for === next)
        failed(new StoreError('unavailable', 'the subscription has gone silent'))
    } catch (error) {
      if (idle || readFailure(error).code === 'refused') failed(error as Error)
    }
    looking = false
  }
  return setInterval(
    () => {
      if (looking) return
      looking = true
      void look()
    },
    Math.min(LOOK_MS, stream.connection.silenceMs),
  )
}

/**
 * Truncation, soft deletion and an ACL of the stream's own show in the metastream alone. Without sight of it there is no
 * following.
 */
function watchMetadata(stream: LedgerStream, metadata: ServerStream, failed: (error: Error) => void): void {
  metadata.on('data', ({ event }: ResolvedEvent) => {
    const problem = event && stream.objection(event)
    if (problem) failed(problem)
  })
  metadata.on('error', failed)
  metadata.on('end', () => failed(new Error('the subscription to the metadata ended')))
}

/** `work`, unless `signal` aborts first: a frozen node must not hold up a shutdown. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new StoreError('unavailable', 'following was stopped'))
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (stop) signal.removeEventListener('abort', stop)
  }
}

async function rest(failures: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures)
  try {
    await pause(longest * (0.5 + Math.random() / 2), undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
