import { readFile } from 'node:fs/promises'

import { UsageError } from '../usage-error.js'

import { HttpFiles } from './http.js'
import { JsonlSource } from './jsonl.js'
import { type Source, SourceError } from './source.js'
import { DirectoryFiles, isDirectory } from './tiles-dir.js'
import { NoLedger, TileSource } from './tiles.js'

/** What a SOURCE names. */
export type SourceName =
  | { kind: 'sqlite'; path: string }
  | { kind: 'jsonl'; path: string }
  | { kind: 'http'; url: string }
  | { kind: 'directory'; path: string }
  /** `url` may hold a password: a program makes this itself, a command line names a variable. */
  | { kind: 'esdb'; url: string }

export interface Access {
  /** The file with the auditor's token. Never the token itself: a command line is no place for it. */
  tokenFile?: string | undefined
  /** The ledger's stream in EventStoreDB. */
  stream?: string | undefined
}

const DEFAULT_STREAM = 'agentkeys-ledger'

/**
 * Throws UsageError for a text that names none. `env:NAME` is the variable NAME that holds it: the only way to give a
 * password, since every user of the machine can read a command line.
 */
export async function parseSource(text: string): Promise<SourceName> {
  const name = /^env:(.*)$/s.exec(text)?.[1]
  if (name === undefined) {
    if (/^esdb[^@]*:[^@]*:[^@]*@/s.test(text))
      throw new UsageError(
        'SOURCE must not hold a password: put the URL into a variable, as in SOURCE env:LEDGER_URL',
      )
    return parseDirectly(text)
  }
  const value = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? process.env[name] : undefined
  if (!value) throw new UsageError('SOURCE env:NAME must name a variable that is set')
  return parseDirectly(value)
}

async function parseDirectly(text: string): Promise<SourceName> {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]+):(.*)$/s.exec(text) ?? []
  switch (scheme) {
    case undefined:
      return parsePath(text)
    case 'http':
    case 'https':
      return { kind: 'http', url: text }
    case 'sqlite':
      if (!rest) throw new UsageError('SOURCE sqlite: needs the path of a file, as in sqlite:ledger.sqlite')
      return { kind: 'sqlite', path: rest }
    case 'esdb':
    case 'esdb+discover':
      return { kind: 'esdb', url: text }
    default:
      throw new UsageError(`SOURCE cannot be ${scheme}: but ${KINDS}`)
  }
}

async function parsePath(text: string): Promise<SourceName> {
  if (await isDirectory(text)) return { kind: 'directory', path: text }
  if (text.endsWith('.jsonl')) return { kind: 'jsonl', path: text }
  const hint = /\.(sqlite3?|db)$/.test(text) ? ` Did you mean sqlite:${text}?` : ''
  throw new UsageError(`SOURCE must be ${KINDS}.${hint}`)
}

const KINDS =
  'http(s)://HOST/ledger, a directory with a checkpoint and tiles, sqlite:PATH, esdb://HOST:PORT, env:NAME or an exported FILE.jsonl'

/** Throws SourceError when the source cannot be opened, UsageError when it cannot be meant. */
export async function openSource(name: SourceName, access: Access = {}): Promise<Source> {
  if (access.tokenFile !== undefined && name.kind !== 'http')
    throw new UsageError('--token-file is for an http(s) SOURCE: nothing else asks for a token')
  if (access.stream !== undefined && name.kind !== 'esdb')
    throw new UsageError('--stream is for an esdb:// SOURCE: nothing else has streams')
  switch (name.kind) {
    case 'sqlite': {
      const { SqliteSource } = await loaded(import('./sqlite.js'), 'sqlite:', 'better-sqlite3')
      return new SqliteSource(name.path)
    }
    case 'jsonl':
      return JsonlSource.open(name.path)
    case 'http':
      return openLog(name.url, await tokenOf(access))
    case 'directory':
      return TileSource.open(new DirectoryFiles(name.path))
    case 'esdb': {
      const { EsdbSource } = await loaded(import('./esdb.js'), 'esdb:', '@eventstore/db-client')
      return EsdbSource.open(name.url, streamOf(access))
    }
  }
}

/** A broker's own address is enough: its log is below /ledger. */
async function openLog(url: string, token: { token?: string }): Promise<Source> {
  try {
    return await TileSource.open(new HttpFiles(url, token))
  } catch (error) {
    if (!(error instanceof NoLedger) || new URL(url).pathname !== '/') throw error
    return TileSource.open(new HttpFiles(new URL('/ledger', url).href, token))
  }
}

/** Native code for the one, 27 MB for the other: loaded for their own sources alone, and optional in agentkeys-verify-ledger. */
async function loaded<T>(module: Promise<T>, scheme: string, needed: string): Promise<T> {
  return module.catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ERR_MODULE_NOT_FOUND') throw cause
    const message = `a SOURCE ${scheme} needs the package ${needed}, which is not installed: npm install ${needed}`
    throw new SourceError(message, { cause })
  })
}

function streamOf({ stream = DEFAULT_STREAM }: Access): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(stream)) return stream
  throw new UsageError(
    '--stream must be a letter or digit, then up to 99 letters, digits, dots, dashes and underscores',
  )
}

async function tokenOf({ tokenFile }: Access): Promise<{ token?: string }> {
  if (tokenFile === undefined) return {}
  const text = await readFile(tokenFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENAMETOOLONG')
      throw new SourceError(
        '--token-file names no file (its value is not shown: it may be the token, and no command line is a place for that)',
      )
    throw new SourceError(`${tokenFile} cannot be read: ${cause.message}`, { cause })
  })
  const token = text.trim()
  // RFC 6750 section 2.1. The value is not shown: it may be half a token.
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(token))
    throw new UsageError(`${tokenFile} must hold one token and no more`)
  return { token }
}
