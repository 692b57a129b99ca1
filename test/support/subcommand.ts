// A subcommand of the broker's program as an operator runs it, and the SQLite ledgers it is given.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import { SqliteEventStore } from '../../src/event-store/sqlite.js'
import { signed } from './ledger-signer.js'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export function spawnSubcommand(args: string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env['PATH'], ...env } })
}

export async function runSubcommand(args: string[], env: Record<string, string>) {
  const child = spawnSubcommand(args, env)
  let [out, err] = ['', '']
  child.stdout?.on('data', (text: Buffer) => (out += text.toString()))
  child.stderr?.on('data', (text: Buffer) => (err += text.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

/** A ledger file as the broker's own store writes it. Resolves with `path`. */
export async function writtenTo(path: string, entries: readonly Sealed[]): Promise<string> {
  const store = new SqliteEventStore(path)
  for (let at = 0; at < entries.length; at += 500) await store.append(signed(entries.slice(at, at + 500)), at)
  await store.close()
  return path
}
