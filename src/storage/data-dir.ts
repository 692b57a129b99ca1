// The broker's folder on this machine: its lock, its node id.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'

import { accessRemedy } from './access-remedy.js'
import { nativeModuleProblem } from './native-module.js'
import { writeFileAtomically } from './atomic-file.js'
import { makeFolder, SyncError } from './folder.js'

/** The data directory cannot be used. The message says why and what to do. */
export class DataDirError extends Error {
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`BROKER_DATA_DIR ${path}: ${problem}`, options)
    this.name = 'DataDirError'
  }
}

export interface DataDir {
  /** Names this broker among those that share a ledger: made once, then kept. */
  nodeId: string
  /** Why the lock no longer keeps other brokers out, with what to do; undefined: it does. */
  displaced: () => string | undefined
  release(): void
}

/** Makes the folder if missing and takes it for this process alone. Throws DataDirError. */
export function openDataDir(path: string, nodeId: string | undefined, newId: () => string): DataDir {
  try {
    makeFolder(path)
    if (statSync(path).mode & 0o022) chmodSync(path, 0o700)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    const lock = takeLock(path)
    const held = statSync(join(path, 'lock'))
    return {
      nodeId: nodeId ?? keptNodeId(join(path, 'node-id'), newId),
      displaced: () => displacement(path, held),
      release: () => lock.close(),
    }
  } catch (error) {
    if (error instanceof DataDirError) throw error
    const cause = error as NodeJS.ErrnoException
    // The first use of SQLite is the lock's.
    const notLoaded = nativeModuleProblem(cause)
    if (notLoaded !== undefined) throw new Error(notLoaded, { cause: error })
    const problem = error instanceof SyncError ? error.message : unusable(path, cause)
    throw new DataDirError(path, problem, { cause: error })
  }
}

/** With the lock's file gone, the next broker makes another one, and both hold a lock. */
function displacement(path: string, held: Stats): string | undefined {
  const now = statSync(join(path, 'lock'), { throwIfNoEntry: false })
  if (now?.ino === held.ino && now.dev === held.dev) return undefined
  return (
    `${join(path, 'lock')} was removed, moved or replaced while this broker held it, so another one may have started: ` +
    'see that one broker at most runs on this BROKER_DATA_DIR, then start it again'
  )
}

/** The folder itself, or a file in it, which is then named. */
function unusable(path: string, { code, message, path: at = path }: NodeJS.ErrnoException): string {
  const what = at === path ? 'cannot be used' : `${at} cannot be used`
  const remedy = accessRemedy(at, code)
  if (remedy !== undefined) return `${what} (${code}): ${remedy}`
  return `${what} (${message}): see that its disk works and has space left`
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
    const { code } = error as { code?: string }
    if (code === 'SQLITE_NOTADB')
      throw new DataDirError(path, `${file} is no lock: delete it, and a new one is made`)
    if (code !== 'SQLITE_BUSY') throw error
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
