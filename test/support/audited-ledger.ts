// The oracle of every test that writes a ledger: the auditor's program, as an auditor runs it.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import Sqlite from 'better-sqlite3'
import { expect } from '@jest/globals'

import type { Entry } from '../../src/domain/ledger/entry.js'
import type { EventData, EventType } from '../../src/domain/ledger/events.js'

const VERIFY = fileURLToPath(new URL('../../tools/verify-ledger/main.js', import.meta.url))
const run = promisify(execFile)

/** Every entry verifies, and every mint that was begun has its outcome. A broker may be writing meanwhile. */
export async function expectVerified(dataDir: string): Promise<void> {
  const args = [VERIFY, `sqlite:${join(dataDir, 'ledger.sqlite')}`, '--json']
  const stdout = await run(process.execPath, args).then(
    (done) => done.stdout,
    (failed: { stdout: string }) => failed.stdout,
  )
  const { ok, findings, counts } = JSON.parse(stdout) as {
    ok: boolean
    findings: unknown[]
    counts: { unanswered: number }
  }
  expect({ ok, findings, unanswered: counts.unanswered }).toEqual({ ok: true, findings: [], unanswered: 0 })
}

/** The entries as they are stored, from index `from` on. */
export function entriesOf(dataDir: string, from = 0): Entry[] {
  const db = new Sqlite(join(dataDir, 'ledger.sqlite'), { readonly: true })
  try {
    const rows = db.prepare<[number], { entry: string }>(
      'SELECT entry FROM ledger WHERE idx >= ? ORDER BY idx',
    )
    return rows.all(from).map(({ entry }) => JSON.parse(entry) as Entry)
  } finally {
    db.close()
  }
}

/** The data of the one entry of `type` among `entries`. */
export function only<T extends EventType>(entries: readonly Entry[], type: T): EventData[T] {
  const found = entries.filter((entry) => entry.type === type)
  expect(found).toHaveLength(1)
  return found[0]?.data as unknown as EventData[T]
}

/** The entries that `act` made. Nothing else may be appending meanwhile. `folder`: asked again, where it holds a copy. */
export async function entriesDuring(
  folder: string | (() => string),
  act: () => Promise<unknown>,
): Promise<Entry[]> {
  const now = () => (typeof folder === 'string' ? folder : folder())
  const before = entriesOf(now()).length
  await act()
  return entriesOf(now(), before)
}
