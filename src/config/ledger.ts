// Which ledger, where it is kept, and who may read its entries.

import { join } from 'node:path'

import { parseAddress, InvalidConnectionString } from '../event-store/eventstoredb/address.js'
import { type Environment, matching, oneOf, type Parse, path, InvalidSettingError } from './environment.js'

export type LedgerStoreConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `url` may hold a password. */
  | { readonly kind: 'esdb'; readonly url: string; readonly stream: string }

export interface LedgerConfig {
  readonly store: LedgerStoreConfig
  readonly origin: string
  /** The former default, which had the issuer's port in it: a ledger that has this name keeps it (start/kept-origin.ts). */
  readonly formerOrigin?: string
  readonly keyPath: string
  /** Who may read entry bundles: hashes, checkpoint and proofs are public either way. */
  readonly entries: 'auditor' | 'public'
}

export function readLedger(env: Environment, issuer: string, dataDir: string): LedgerConfig {
  // For init-eventstore alone: a broker that holds it could delete the ledger.
  if (env.has('BROKER_LEDGER_ADMIN_URL'))
    env.warnings.push('BROKER_LEDGER_ADMIN_URL is for init-eventstore alone: unset it for the broker')
  return {
    store: readStore(env, dataDir),
    ...readOrigin(env, issuer),
    keyPath: env.read('BROKER_LEDGER_KEY_PATH', path, join(dataDir, 'ledger-key.json')),
    entries: env.read('BROKER_LEDGER_ENTRIES', oneOf('auditor', 'public'), 'auditor'),
  }
}

/** The stream of an esdb:// ledger. */
export function readStreamName(env: Environment): string {
  const form = 'a letter or digit, then up to 99 letters, digits, dots, dashes and underscores'
  return env.read(
    'BROKER_LEDGER_STREAM',
    matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, form),
    'agentkeys-ledger',
  )
}

function readStore(env: Environment, dataDir: string): LedgerStoreConfig {
  const stream = readStreamName(env)
  const parse: Parse<LedgerStoreConfig> = (text) => {
    if (text.startsWith('sqlite:'))
      return { kind: 'sqlite', path: parseSqlitePath(text.slice('sqlite:'.length)) }
    if (text.startsWith('esdb')) return { kind: 'esdb', url: parseEsdbUrl(text), stream }
    throw new InvalidSettingError('sqlite:PATH or esdb://user:password@host:port?options', 'correct it')
  }
  const store = env.read('BROKER_LEDGER_URL', parse, { kind: 'sqlite', path: join(dataDir, 'ledger.sqlite') })
  if (store.kind === 'sqlite' && env.has('BROKER_LEDGER_STREAM')) {
    env.warnings.push('BROKER_LEDGER_STREAM has no effect: only an esdb:// ledger has a stream name')
  }
  return store
}

function parseSqlitePath(text: string): string {
  // sqlite://ledger.sqlite would be the file /ledger.sqlite, and ":memory:" a ledger that forgets.
  if (text.startsWith('//') || text.startsWith(':')) {
    throw new InvalidSettingError(
      'sqlite:PATH with a file path, such as sqlite:/var/lib/agentkeys/ledger.sqlite',
      'correct it',
    )
  }
  return path(text)
}

/** Whatever the store itself would refuse. */
function parseEsdbUrl(text: string): string {
  try {
    parseAddress(text)
    return text
  } catch (error) {
    if (!(error instanceof InvalidConnectionString)) throw error
    throw new InvalidSettingError(`it to ${error.rule}`, 'correct it')
  }
}

/**
 * The default has no port in it: a port is an accident of one machine or one proxy, and the name is for life. The path
 * stays, since tenants of one host have ledgers of their own.
 */
function readOrigin(env: Environment, issuer: string): Pick<LedgerConfig, 'origin' | 'formerOrigin'> {
  const former = `${issuer.replace(/^https?:\/\//, '')}/ledger`
  const fallback = former.replace(/^([^/]*):\d+(?=\/)/, '$1')
  const origin = env.read('BROKER_LEDGER_ORIGIN', parseOrigin, fallback)
  if (!isKeyName(origin)) {
    env.problems.push(
      `BROKER_LEDGER_ORIGIN is not set, and its default "${origin}", made of the issuer, is not ${ORIGIN_FORM}; set it`,
    )
  }
  const isDefault = !env.has('BROKER_LEDGER_ORIGIN')
  return isDefault && former !== fallback ? { origin, formerOrigin: former } : { origin }
}

const ORIGIN_FORM = 'a name of at most 255 bytes without spaces, plus signs and control characters'

function parseOrigin(text: string): string {
  if (!isKeyName(text)) throw new InvalidSettingError(ORIGIN_FORM)
  return text
}

/** C2SP signed-note's rule for key names, which an origin is too, and nothing invisible; lengths as in tlog-cosignature. */
function isKeyName(name: string): boolean {
  return /^[^\s+\p{C}]+$/u.test(name) && Buffer.byteLength(name) <= 255
}
