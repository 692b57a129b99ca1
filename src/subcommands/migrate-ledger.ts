// agentkeys-broker migrate-ledger: from one store to another, most often from SQLite to EventStoreDB.

import { existsSync } from 'node:fs'

import { Environment, type Variables } from '../config/environment.js'
import { readStreamName } from '../config/ledger.js'
import type { EventStore } from '../event-store/event-store.js'
import { EventStoreDbEventStore } from '../event-store/eventstoredb.js'
import { SqliteEventStore } from '../event-store/sqlite.js'
import { migrateLedger } from '../ledger/migrate.js'
import { codeOfFailure, type Outcome } from './outcome.js'

export interface MigrateLedgerArguments {
  /** `sqlite:PATH`, or `env:NAME` for a variable that holds the URL: one with a password must not be in argv. */
  from: string
  to: string
}

export async function migrateLedgerBetween(
  { from, to }: MigrateLedgerArguments,
  env: Variables,
): Promise<Outcome> {
  const stores: EventStore[] = []
  try {
    const source = opened(from, '--from', env)
    stores.push(source)
    const target = opened(to, '--to', env)
    stores.push(target)
    const { size, copied } = await migrateLedger({ from: source, to: target, onProgress: progress() })
    const message = `${target.description}: ${size} entries, ${copied} of them copied now, the same as ${source.description}`
    return { code: 0, message }
  } catch (error) {
    const code = error instanceof InvalidStoreReference ? 2 : codeOfFailure(error)
    return { code, message: `migrate-ledger: ${(error as Error).message}` }
  } finally {
    for (const store of stores) await store.close()
  }
}

class InvalidStoreReference extends Error {}

function opened(reference: string, flag: '--from' | '--to', env: Variables): EventStore {
  const name = /^env:([A-Z_][A-Z0-9_]*)$/.exec(reference)?.[1]
  const url = name === undefined ? reference : env[name]
  if (url === undefined) throw new InvalidStoreReference(`${flag} env:${name}: the variable is not set`)
  const path = /^sqlite:([^/:].*|\/[^/].*)$/.exec(url)?.[1]
  if (path !== undefined) {
    if (flag === '--from' && !existsSync(path))
      throw new InvalidStoreReference(`${flag}: there is no ledger at ${path}`)
    return new SqliteEventStore(path)
  }
  if (name === undefined || !url.startsWith('esdb'))
    throw new InvalidStoreReference(
      `${flag} must be sqlite:PATH, or env:NAME with an esdb:// URL in the variable NAME`,
    )
  const stream = streamName(env)
  try {
    return new EventStoreDbEventStore(url, { stream })
  } catch (error) {
    throw new InvalidStoreReference(`${flag} env:${name}: ${(error as Error).message}`)
  }
}

function streamName(variables: Variables): string {
  const env = new Environment(variables)
  const stream = readStreamName(env)
  const [problem] = env.problems
  if (problem !== undefined) throw new InvalidStoreReference(problem)
  return stream
}

const TELL_EVERY_MS = 1_000

function progress(): (entries: number, of: number) => void {
  let reportedAt = Date.now()
  return (entries, of) => {
    if (!process.stderr.isTTY || Date.now() - reportedAt < TELL_EVERY_MS) return
    reportedAt = Date.now()
    process.stderr.write(`\r${entries} of ${of} entries`)
  }
}
