// One process at a time, across processes: a transaction on an SQLite file. The kernel releases its lock when the holder
// ends, however it ends; a lock file with a process id in it would outlive a SIGKILL.

import { closeSync, openSync } from 'node:fs'

import Sqlite from 'better-sqlite3'

import { nativeModuleProblem } from '../../src/storage/native-module.js'

import { CliError } from './report-error.js'

const WAIT_MS = 45_000

/** Holds the lock while `work` runs. Rejects when others hold it for longer than 45 s. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const held = await locked(path, WAIT_MS, work)
  if (held) return held.result
  throw new CliError(
    'another process has been minting for too long',
    'see what the other agentkeys process waits for, or end it',
  )
}

/** Undefined where another process holds the lock. */
export function tryFileLock<T>(path: string, work: () => Promise<T>): Promise<{ result: T } | undefined> {
  return locked(path, 0, work)
}

async function locked<T>(
  path: string,
  waitMs: number,
  work: () => Promise<T>,
): Promise<{ result: T } | undefined> {
  makePrivate(path)
  const file = opened(path, waitMs)
  try {
    if (!begin(file)) return undefined
    return { result: await work() }
  } finally {
    file.close()
  }
}

/**
 * SQLite would make a file that others can read. One that exists is not opened here: POSIX drops the locks that a process
 * has on a file when it closes any descriptor of it.
 */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function opened(path: string, waitMs: number): Sqlite.Database {
  try {
    return new Sqlite(path, { timeout: waitMs })
  } catch (cause) {
    const problem = nativeModuleProblem(cause)
    throw problem === undefined ? cause : new Error(problem, { cause })
  }
}

function begin(file: Sqlite.Database): boolean {
  try {
    // Only the lock is wanted: nothing is ever written to this file.
    file.pragma('journal_mode = MEMORY')
    file.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return false
    throw error
  }
}
