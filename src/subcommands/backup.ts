// agentkeys-broker backup DIR: a copy of the ledger and the sessions that was verified, beside a running broker or without one.

import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'

import type { Config } from '../config.js'
import {
  formatSignedCheckpoint,
  type SignedCheckpoint,
  verifyCheckpoint,
} from '../domain/ledger/checkpoint.js'
import { sameBytes } from '../domain/ledger/encoding.js'
import { leafHash } from '../domain/ledger/entry.js'
import { Tree } from '../domain/ledger/merkle.js'
import { type Verdict, verifyLedger } from '../domain/ledger/verify.js'
import { loadLedgerKey } from '../ledger/key.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import { RollbackGuard } from '../ledger/rollback-guard.js'
import { lastCheckpointPath } from '../start/open-ledger-stack.js'
import { createFileAtomically } from '../storage/atomic-file.js'
import { makeFolder, syncFolder } from '../storage/folder.js'
import { codeOfFailure, type Outcome } from './outcome.js'

const SESSIONS = 'sessions.sqlite'

export function backUpTo(directory: string, config: Config): Outcome {
  const { store } = config.ledger
  if (store.kind !== 'sqlite')
    return {
      code: 2,
      message: 'backup: this ledger is in EventStoreDB: docs/eventstoredb.md says how to copy it',
    }
  const made: string[] = []
  try {
    makeEmpty(directory)
    // The checkpoint first: a copy that is made after it has all of its entries, however busy the broker is.
    const checkpoint = signedLast(config)
    createFileAtomically(note(made, directory, 'checkpoint'), formatSignedCheckpoint(checkpoint), 0o600)
    const copy = note(made, directory, 'ledger.sqlite')
    copyDatabase(store.path, copy)
    const sessions = join(config.dataDir, SESSIONS)
    if (existsSync(sessions)) copyDatabase(sessions, note(made, directory, SESSIONS))
    syncFolder(directory)
    const { size, head } = verified(copy, checkpoint)
    return { code: 0, message: report(directory, checkpoint, { size, head }) }
  } catch (error) {
    for (const file of made) rmSync(file, { force: true })
    return { code: codeOfFailure(error), message: `backup: ${(error as Error).message}` }
  }
}

function report(
  directory: string,
  { size }: SignedCheckpoint,
  found: Pick<Verdict, 'size' | 'head'>,
): string {
  return [
    `${directory}: ${found.size} entries, verified, and the checkpoint of ${size} entries holds for them`,
    'A copy that is older than the last mint cannot come back: it is for evidence, and to find entries in.',
    `Keep with it, on another machine: --expect-size ${found.size} --expect-head ${found.head}`,
  ].join('\n')
}

function makeEmpty(directory: string): void {
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw new Error(`${directory} is not empty: name a folder that is not there yet`)
  makeFolder(directory)
  chmodSync(directory, 0o700)
}

function note(made: string[], directory: string, name: string): string {
  const path = join(directory, name)
  made.push(path)
  return path
}

function signedLast(config: Config): SignedCheckpoint {
  const { keyPath, origin } = config.ledger
  const checkpoint = new RollbackGuard(lastCheckpointPath(config), () => undefined).last()
  if (!checkpoint) throw new Error(`${lastCheckpointPath(config)} is missing: start the broker once`)
  const key = loadLedgerKey(keyPath, origin)
  if (!key) throw new Error(`there is no ledger key at ${keyPath}: let BROKER_LEDGER_KEY_PATH name it`)
  if (!verifyCheckpoint(checkpoint, [key.signer.key]).ok)
    throw new LedgerRefused(`${lastCheckpointPath(config)} is not signed by the key at ${keyPath}`)
  return checkpoint
}

/** One read transaction, so it is the file of one moment, and no writer waits for it. */
function copyDatabase(from: string, to: string): void {
  const source = new Sqlite(from, { readonly: true, fileMustExist: true, timeout: 10_000 })
  try {
    // SQLite takes an empty file, and would make one that others may read.
    const target = openSync(to, 'wx', 0o600)
    try {
      source.prepare('VACUUM INTO ?').run(to)
      fsyncSync(target)
    } finally {
      closeSync(target)
    }
  } finally {
    source.close()
  }
}

/** By the verifier's own code. Throws LedgerRefused. */
function verified(path: string, checkpoint: SignedCheckpoint): Verdict {
  const db = new Sqlite(path, { readonly: true })
  try {
    const tree = new Tree()
    let root = new Uint8Array()
    const rows = function* (): Iterable<string> {
      for (const text of db.prepare<[], string>('SELECT entry FROM ledger ORDER BY idx').pluck().iterate()) {
        yield text
        tree.append(Buffer.from(leafHash(text), 'hex'))
        if (tree.size === checkpoint.size) root = Uint8Array.from(tree.root())
      }
    }
    const verdict = verifyLedger(rows(), { size: checkpoint.size })
    if (!verdict.ok)
      throw new LedgerRefused(
        `the ledger has ${verdict.findingCount} findings, the first at entry ${verdict.firstFinding?.index}: ` +
          `${verdict.firstFinding?.detail}; run verify-ledger and keep the file`,
      )
    if (!sameBytes(root, checkpoint.root))
      throw new LedgerRefused(
        `the ledger is not what the checkpoint of ${checkpoint.size} entries was signed for`,
      )
    return verdict
  } finally {
    db.close()
  }
}
