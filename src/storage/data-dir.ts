// The broker's folder on this machine: its lock, its node id.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'

import { writeFileAtomically } from './atomic-file.js'

/** The data directory cannot be used. The message says why and what to do. */
export class DataDirError extends Error {
  constructor(path: string, problem: string) {
    super(`BROKER_DATA_DIR ${path}: ${problem}`)
    this.name = 'DataDirError'
  }
}

export interface DataDir {
  /** Names this broker among those that share a ledger: made once, then kept. */
  nodeId: string
  release(): void
}

/** Makes the folder if missing and takes it for this process alone. Throws DataDirError. */
export function openDataDir(path: string, nodeId: string | undefined, newId: () => string): DataDir {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    if (statSync(path).mode & 0o022) chmodSync(path, 0o700)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    const lock = takeLock(path)
    return { nodeId: nodeId ?? keptNodeId(join(path, 'node-id'), newId), release: () => lock.close() }
  } catch (error) {
    if (error instanceof DataDirError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new DataDirError(
      path,
      `cannot be used (${code ?? message}): make it writable for this user, with space left`,
    )
  }
}

/**
 * An open exclusive transaction on a file of its own: the kernel's lock, so that it ends with the process however that
 * ends. A file with a process id in it would outlive a SIGKILL.
 */
function takeLock(path: string): Sqlite.Database {
  const file = join(path, 'lock')
  closeSync(openSync(file, 'a', 0o600))
  const lock = new Sqlite(file, { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw new DataDirError(
      path,
      'another broker is running on it: stop that one, or give this one a folder of its own',
    )
  }
}

const NODE_ID = /^(?:[A-Za-z0-9._-]{1,64})$/

function keptNodeId(path: string, newId: () => string): string {
  let kept: string
  try {
    kept = readFileSync(path, 'utf8').trimEnd()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    const host = hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 40)
    const made = `${host}-${newId().slice(-8)}`
    writeFileAtomically(path, `${made}\n`, 0o600)
    return made
  }
  if (!NODE_ID.test(kept)) throw new DataDirError(path, 'holds no node id: delete it, and a new one is made')
  return kept
}
