// One try to append to the ledger's stream.

import { StoreError } from '../event-store.js'
import { callAppend } from './append-call.js'
import { type EntryText, toEvent } from './event.js'
import { appendFailure, PUT_BACK, UNHIDE } from './errors.js'
import type { LedgerStream } from './stream.js'

export interface Append {
  entries: readonly EntryText[]
  expectedSize: number
  /** Whether an earlier try at this place had an outcome that is not known. */
  inDoubt: boolean
  /** The broker's node id. */
  node: string | undefined
}

/**
 * Names the exact revision it follows and goes out as one plain Append call, at the leader. Where an earlier try is in
 * doubt, what is stored is read and compared, because EventStoreDB recognises a repeated append by its ids and never
 * looks at the content. Rejects with StoreError.
 */
export async function appendOnce(
  stream: LedgerStream,
  { entries, expectedSize, inDoubt, node }: Append,
): Promise<void> {
  // On a soft-deleted stream "there is no stream yet" succeeds, after the hidden entries: look first.
  if (expectedSize === 0) await stream.assertWhole()
  const lastIndex = expectedSize + entries.length - 1
  const events = entries.map((entry) => toEvent(entry, { by: node, upTo: lastIndex }))
  try {
    const { revision, positioned } = await callAppend(stream, events, expectedSize)
    if (revision !== BigInt(lastIndex))
      throw new StoreError(
        'refused',
        `the entries were stored up to revision ${revision} instead of ${lastIndex}: the stream was deleted or truncated; ${UNHIDE}`,
      )
    if (!positioned)
      throw new StoreError(
        'refused',
        `the entries are stored but hidden: the stream was truncated or soft-deleted; ${UNHIDE}`,
      )
  } catch (error) {
    const failure = appendFailure(error, expectedSize)
    if (failure.code !== 'conflict' || !inDoubt) throw failure
    if (await isStored(stream, entries, expectedSize)) return
    throw failure
  }
  if (inDoubt && !(await isStored(stream, entries, expectedSize)))
    throw new StoreError(
      'refused',
      `EventStoreDB confirmed the append but holds other entries in its place; ${PUT_BACK}`,
    )
}

/** Whether exactly these texts stand at this place. When that cannot be read, the append is still in doubt. */
async function isStored(stream: LedgerStream, entries: readonly EntryText[], from: number): Promise<boolean> {
  try {
    for (let at = 0; at < entries.length;) {
      const page = await stream.read(from + at, entries.length - at)
      if (page.length === 0 || page.some(({ text }, i) => text !== entries[at + i]?.text)) return false
      at += page.length
    }
    return true
  } catch (error) {
    if (error instanceof StoreError && error.code === 'refused') throw error
    throw new StoreError('unknown', 'what the earlier attempt wrote cannot be read now', { cause: error })
  }
}
