// agentkeys-broker backup DIR: a copy of the ledger and the sessions that was verified, beside a running broker or without one.

import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Config } from '../config.js'
import { lastCheckpointPath } from '../config/data-dir.js'
import { formatSignedCheckpoint, type SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import type { Verdict } from '../domain/ledger/verify.js'
import { createFileAtomically } from '../storage/atomic-file.js'
import { makeFolder, syncFolder } from '../storage/folder.js'
import { existingLedgerKey, rememberedCheckpoints } from './backup/known-checkpoints.js'
import { copyDatabase, verifiedFile } from './backup/ledger-file.js'
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
    const { size, head } = verifiedFile(copy, [checkpoint])
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
  const key = existingLedgerKey(config)
  const [checkpoint] = rememberedCheckpoints(config, key)
  if (!checkpoint) throw new Error(`${lastCheckpointPath(config.dataDir)} is missing: start the broker once`)
  return checkpoint
}
