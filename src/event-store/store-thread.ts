// The thread of a store: what its failures are to callers.

import type { Worker } from 'node:worker_threads'

import { WorkerThread } from '../worker/worker-thread.js'
import { StoreError, type StoreErrorCode } from './event-store.js'

/** A StoreError on its way between threads. */
export interface StoreFailure {
  code: StoreErrorCode
  message: string
  damage?: boolean
  denied?: boolean
}

export type StoreThread<Question> = WorkerThread<Question, StoreFailure>

/** Calls reject with StoreError: the thread's own, or 'unknown' for an append and 'unavailable' for all else when it ended. */
export function storeThread<Question extends { op: string }>(
  start: () => Worker,
  warn?: (warning: string) => void,
): StoreThread<Question> {
  return new WorkerThread<Question, StoreFailure>(
    start,
    {
      revived: ({ code, message, damage = false, denied = false }) =>
        new StoreError(code, message, { damage, denied }),
      lost({ op }, cause) {
        const why = cause instanceof Error ? `: ${cause.message}` : ''
        const code = op === 'append' ? 'unknown' : 'unavailable'
        return new StoreError(code, `the ledger thread ended${why}`, { cause })
      },
      closed: () => new StoreError('unavailable', 'the ledger is closed'),
    },
    warn,
  )
}
