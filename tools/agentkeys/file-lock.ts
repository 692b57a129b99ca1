// One process at a time, across processes: a transaction on an SQLite file. The kernel releases its lock when the holder
// ends, however it ends; a lock file with a process id in it would outlive a SIGKILL.

import Sqlite from 'better-sqlite3'

import { CliError } from './report-error.js'

const WAIT_MS = 45_000

/** Holds the lock while `work` runs. Rejects when others hold it for longer than 45 s. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const file = new Sqlite(path, { timeout: WAIT_MS })
  try {
    begin(file)
    return await work()
  } finally {
    file.close()
  }
}

function begin(file: Sqlite.Database): void {
  try {
    // Only the lock is wanted: nothing is ever written to this file.
    file.pragma('journal_mode = MEMORY')
    file.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    const remedy = 'see what the other agentkeys process waits for, or end it'
    throw new CliError('another process has been minting for too long', remedy, 3, { cause: error })
  }
}
