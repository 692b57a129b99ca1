// The thread that owns the connection to EventStoreDB. Asked by eventstoredb.ts.
//
// The client spends more processor time on an entry than a mint does, and parts of it can throw where nothing catches
// it: here it holds up no mint, and takes down no broker.

import { workerData } from 'node:worker_threads'

import { serve } from '../worker/serve.js'
import { type Append, appendOnce } from './eventstoredb/append.js'
import { parseAddress } from './eventstoredb/address.js'
import { Connection } from './eventstoredb/connection.js'
import { follow } from './eventstoredb/follow.js'
import { isDamage, isDenied } from './eventstoredb/errors.js'
import { LedgerStream } from './eventstoredb/stream.js'
import { StoreError, type Stored } from './event-store.js'
import { OwnAppends } from './eventstoredb/own-appends.js'
import type { Question, ThreadData } from './eventstoredb.js'
import type { StoreFailure } from './store-thread.js'

/** How long calls that were cancelled may keep the thread: some of them never end. */
const FORCE_EXIT_MS = 500

interface Following {
  batches: AsyncIterator<Stored[], void>
  stop: AbortController
}

const { url, stream: name, node, insecure, restricted, silenceMs } = workerData as ThreadData
const connection = new Connection(parseAddress(url), silenceMs)
const stream = new LedgerStream(connection, name, { insecure, restricted })
const own = new OwnAppends(node)
const followings = new Map<number, Following>()

function answer(question: Question): unknown {
  switch (question.op) {
    case 'append':
      return append(question)
    case 'size':
      return stream.size()
    case 'read':
      return stream.read(question.from, question.limit)
    case 'follow': {
      const stop = new AbortController()
      followings.set(question.id, { batches: follow(stream, question.from, stop.signal, own), stop })
      return undefined
    }
    case 'next':
      return next(question.id)
    case 'leave':
      return leave(question.id)
  }
}

async function append(question: Omit<Append, 'node'>): Promise<void> {
  try {
    await appendOnce(stream, { ...question, node })
    own.confirmed(question.entries, question.expectedSize)
  } catch (error) {
    own.invalidate()
    throw error
  }
}

/** The next batch of a following; undefined when it has ended. */
async function next(id: number): Promise<Stored[] | undefined> {
  const following = followings.get(id)
  if (!following) throw new StoreError('unavailable', 'the ledger thread was restarted')
  return (await following.batches.next()).value ?? undefined
}

/** Wakes it whether it waits for entries or for a request for them. */
function leave(id: number): void {
  const following = followings.get(id)
  followings.delete(id)
  following?.stop.abort()
  // Errors after unsubscribing are ignored.
  following?.batches.return?.().catch(() => undefined)
}

function failure(error: unknown): StoreFailure {
  if (!(error instanceof StoreError)) throw error
  const { code, message } = error
  return { code, message, damage: isDamage(error), denied: isDenied(error) }
}

function close(): void {
  for (const id of [...followings.keys()]) leave(id)
  connection.close()
  setTimeout(() => process.exit(0), FORCE_EXIT_MS).unref()
}

serve<Question, StoreFailure>({ answer, failure, close })
