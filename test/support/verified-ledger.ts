// The oracle at the end of every fault test: the auditor's verifier over the broker's own file.

import { join } from 'node:path'

import type { Entry } from '../../src/domain/ledger/entry.js'
import type { EventData } from '../../src/domain/ledger/events.js'
import type { Verdict } from '../../src/domain/ledger/verify.js'
import { type Options, verify } from '../../tools/verify-ledger/verification.js'
import type { Source } from '../../tools/verify-ledger/sources/source.js'
import { SqliteSource } from '../../tools/verify-ledger/sources/sqlite.js'

export interface EntryOf<Type extends keyof EventData> extends Entry {
  data: EventData[Type] & Entry['data']
}

/** What an auditor kept: a size and head, or a checkpoint and the key it was signed with. */
export type Remembered = Pick<Options, 'expected' | 'checkpoint' | 'vkey'>

/** A ledger that verified, from entry 0 to its end. */
export class VerifiedLedger {
  constructor(readonly entries: readonly Entry[]) {}

  of<Type extends keyof EventData>(type: Type): EntryOf<Type>[] {
    return this.entries.filter((entry) => entry.type === type) as EntryOf<Type>[]
  }

  get types(): string[] {
    return this.entries.map(({ type }) => type)
  }
}

export function ledgerPath(dataDir: string): string {
  return join(dataDir, 'ledger.sqlite')
}

/** What verify-ledger says of the file, while it is written to, and whatever it held at the last verification. */
export async function verdictOn(path: string, remembered: Remembered = {}): Promise<Verdict> {
  return verdictFrom(new SqliteSource(path), remembered)
}

/** The same of any source, which is closed. */
export async function verdictFrom(source: Source, remembered: Remembered = {}): Promise<Verdict> {
  try {
    return (await verify(source, { ...remembered, statePath: 'none' })).verdict
  } finally {
    await source.close()
  }
}

/** Every entry of a broker's ledger. Throws with the first findings when the verifier has any. */
export async function verifiedLedger(dataDir: string): Promise<VerifiedLedger> {
  const path = ledgerPath(dataDir)
  const verdict = await verdictOn(path)
  if (!verdict.ok) {
    const found = verdict.findings.slice(0, 5).map(({ index, kind, detail }) => `${index} ${kind}: ${detail}`)
    throw new Error(`the ledger has ${verdict.findingCount} findings:\n${found.join('\n')}`)
  }
  const source = new SqliteSource(path)
  try {
    const entries: Entry[] = []
    for await (const { rows } of source.batches())
      entries.push(...rows.map((row) => JSON.parse(row as string) as Entry))
    return new VerifiedLedger(entries)
  } finally {
    await source.close()
  }
}
