import { UsageError } from '../usage-error.js'

import { JsonlSource } from './jsonl.js'
import type { Source } from './source.js'
import { SqliteSource } from './sqlite.js'

/** What a SOURCE names. Throws UsageError for a text that names none. */
export type SourceName = { kind: 'sqlite'; path: string } | { kind: 'jsonl'; path: string }

export function parseSource(text: string): SourceName {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]+):(.*)$/s.exec(text) ?? []
  if (scheme === 'sqlite') {
    if (!rest) throw new UsageError('SOURCE sqlite: needs the path of a file, as in sqlite:ledger.sqlite')
    return { kind: 'sqlite', path: rest }
  }
  if (scheme !== undefined) throw new UsageError(`SOURCE cannot be ${scheme}: but ${KINDS}`)
  if (text.endsWith('.jsonl')) return { kind: 'jsonl', path: text }
  const hint = /\.(sqlite3?|db)$/.test(text) ? ` Did you mean sqlite:${text}?` : ''
  throw new UsageError(`SOURCE must be ${KINDS}.${hint}`)
}

/** Throws SourceError when the source cannot be opened. */
export async function openSource(name: SourceName): Promise<Source> {
  switch (name.kind) {
    case 'sqlite':
      return new SqliteSource(name.path)
    case 'jsonl':
      return JsonlSource.open(name.path)
  }
}

const KINDS = 'sqlite:PATH or an exported FILE.jsonl'
