import { readFile } from 'node:fs/promises'

import { UsageError } from '../usage-error.js'

import { HttpFiles } from './http.js'
import { JsonlSource } from './jsonl.js'
import { type Source, SourceError } from './source.js'
import { DirectoryFiles, isDirectory } from './tiles-dir.js'
import { TileSource } from './tiles.js'

/** What a SOURCE names. */
export type SourceName =
  | { kind: 'sqlite'; path: string }
  | { kind: 'jsonl'; path: string }
  | { kind: 'http'; url: string }
  | { kind: 'directory'; path: string }

export interface Access {
  /** The file with the auditor's token. Never the token itself: a command line is no place for it. */
  tokenFile?: string | undefined
}

/** Throws UsageError for a text that names none. */
export async function parseSource(text: string): Promise<SourceName> {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]+):(.*)$/s.exec(text) ?? []
  if (scheme === 'http' || scheme === 'https') return { kind: 'http', url: text }
  if (scheme === 'sqlite') {
    if (!rest) throw new UsageError('SOURCE sqlite: needs the path of a file, as in sqlite:ledger.sqlite')
    return { kind: 'sqlite', path: rest }
  }
  if (scheme !== undefined) throw new UsageError(`SOURCE cannot be ${scheme}: but ${KINDS}`)
  if (await isDirectory(text)) return { kind: 'directory', path: text }
  if (text.endsWith('.jsonl')) return { kind: 'jsonl', path: text }
  const hint = /\.(sqlite3?|db)$/.test(text) ? ` Did you mean sqlite:${text}?` : ''
  throw new UsageError(`SOURCE must be ${KINDS}.${hint}`)
}

const KINDS =
  'http(s)://HOST/ledger, a directory with a checkpoint and tiles, sqlite:PATH or an exported FILE.jsonl'

/** Throws SourceError when the source cannot be opened, UsageError when it cannot be meant. */
export async function openSource(name: SourceName, access: Access = {}): Promise<Source> {
  if (access.tokenFile !== undefined && name.kind !== 'http')
    throw new UsageError('--token-file is for an http(s) SOURCE: nothing else asks for a token')
  switch (name.kind) {
    case 'sqlite': {
      // Loaded here alone: it is native code, and whoever verifies from tiles needs none.
      const { SqliteSource } = await import('./sqlite.js')
      return new SqliteSource(name.path)
    }
    case 'jsonl':
      return JsonlSource.open(name.path)
    case 'http':
      return TileSource.open(new HttpFiles(name.url, await tokenOf(access)))
    case 'directory':
      return TileSource.open(new DirectoryFiles(name.path))
  }
}

async function tokenOf({ tokenFile }: Access): Promise<{ token?: string }> {
  if (tokenFile === undefined) return {}
  const text = await readFile(tokenFile, 'utf8').catch((cause: Error) => {
    throw new SourceError(`${tokenFile} cannot be read: ${cause.message}`, { cause })
  })
  const token = text.trim()
  // RFC 6750 section 2.1. The value is not shown: it may be half a token.
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(token))
    throw new UsageError(`${tokenFile} must hold one token and no more`)
  return { token }
}
