// Files that others may read or change. They are reported and left as they are: what was done to them meanwhile cannot
// be undone by a chmod. Files with keys are refused instead (private-file.ts).

import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const SQLITE_SUFFIXES = ['', '-wal', '-shm']
const KEPT = [
  ...['lock', 'node-id', 'last-checkpoint', 'last-witnessed-checkpoint', 'witness-alarm.json'],
  ...SQLITE_SUFFIXES.map((suffix) => `sessions.sqlite${suffix}`),
]

/** One line for each, with what to do. `databases`: SQLite files, which may lie outside of the data dir. */
export function looseModes(dataDir: string, databases: readonly string[]): string[] {
  const files = [
    ...databases.flatMap((path) => SQLITE_SUFFIXES.map((suffix) => path + suffix)),
    ...KEPT.map((name) => join(dataDir, name)),
  ]
  const shared = new Set(databases.map(dirname))
  shared.delete(dataDir)
  return [
    ...problem(dataDir, 0o077, 'chmod 700 it'),
    // Such a folder may be listed by others; a sticky one (/tmp) keeps them from its files.
    ...[...shared].flatMap((folder) => problem(folder, 0o022, 'chmod go-w it', 0o1000)),
    ...files.flatMap((path) => problem(path, 0o077, 'chmod 600 it')),
  ]
}

/** `forgiven`: a bit that makes the others harmless. */
function problem(path: string, loose: number, remedy: string, forgiven = 0): string[] {
  const mode = modeOf(path)
  if (mode === undefined || (mode & loose) === 0 || (mode & forgiven) !== 0) return []
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  const others =
    mode & 0o022
      ? 'others can change it: verify what depends on it (verify-ledger), and'
      : 'others can read it:'
  return [`${path}: its mode is ${octal}, ${others} ${remedy}`]
}

/** Undefined where it is not there, or cannot be looked at: to say so is for those who open it. */
function modeOf(path: string): number | undefined {
  try {
    return statSync(path).mode
  } catch {
    return undefined
  }
}
