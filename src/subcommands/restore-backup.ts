// agentkeys-broker restore-backup DIR: puts a backup in the ledger's place, and says first what is missing in it. The rollback
// guard stays as it is: a ledger that lacks entries is refused at the next start, until import has brought them.

import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { v7 as uuidv7 } from 'uuid'

import type { Config } from '../config.js'
import { lastCheckpointPath } from '../config/data-dir.js'
import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { LedgerRefused } from '../ledger/open-ledger.js'
import { sizeOfReadModels } from '../projections/read-model-file.js'
import type { RestoreBackupLine } from '../start/recovery-line.js'
import { createFileAtomically } from '../storage/atomic-file.js'
import { type DataDir, openDataDir } from '../storage/data-dir.js'
import { syncFolder } from '../storage/folder.js'
import { isSqliteError } from '../storage/sqlite-error.js'
import { existingLedgerKey, readCheckpoint, rememberedCheckpoints } from './backup/known-checkpoints.js'
import { copyDatabase, sizeOfFile, verifiedFile } from './backup/ledger-file.js'
import { codeOfFailure, type Outcome } from './outcome.js'

const SQLITE_SUFFIXES = ['', '-wal', '-shm']

export function restoreBackup(line: RestoreBackupLine, config: Config): Outcome {
  const { store } = config.ledger
  if (store.kind !== 'sqlite')
    return {
      code: 2,
      message: 'restore-backup: this ledger is in EventStoreDB: docs/eventstoredb.md says how to restore it',
    }
  const arriving = `${store.path}.arriving`
  let dataDir: DataDir | undefined
  try {
    dataDir = openDataDir(config.dataDir, config.nodeId, uuidv7)
    const key = existingLedgerKey(config)
    const known = rememberedCheckpoints(config, key)
    const checkpoint = readCheckpoint(join(line.directory, 'checkpoint'), key)
    rmSync(arriving, { force: true })
    copyDatabase(join(line.directory, 'ledger.sqlite'), arriving)
    const { size } = verifiedFile(arriving, [checkpoint], line.directory)
    verifiedFile(
      arriving,
      known.filter((each) => each.size <= size),
      line.directory,
    )
    const missing = missingIn(size, config, { path: store.path, known })
    if (missing.refused)
      return { code: 1, message: `${missing.firstLine}\nNothing was changed. ${missing.advice}` }
    if (missing.lost && !line.yes)
      return {
        code: 1,
        message: `${missing.firstLine}\nNothing was changed. To go on, repeat this with --yes`,
      }
    const more = putInPlace(arriving, store.path)
    more.push(...restoreSessions(line.directory, config), ...restoreCheckpoint(line.directory, config))
    return { code: 0, message: [missing.firstLine, ...more, missing.advice].join('\n') }
  } catch (error) {
    return { code: codeOfFailure(error), message: `restore-backup: ${(error as Error).message}` }
  } finally {
    rmSync(arriving, { force: true })
    dataDir?.release()
  }
}

interface Missing {
  firstLine: string
  advice: string
  lost: boolean
  /** What is here is better than the backup. */
  refused: boolean
}

function missingIn(
  size: number,
  config: Config,
  { path, known }: { path: string; known: readonly SignedCheckpoint[] },
): Missing {
  const here = existsSync(path) ? sizeOfFile(path) : 0
  const remembered = Math.max(here, sizeOfReadModels(config.auditDbPath), ...known.map((each) => each.size))
  const lost = Math.max(0, remembered - size)
  const range = lost === 1 ? `entry ${size}` : `entries ${size} to ${remembered - 1}`
  if (here >= size && isWhole(path, known))
    return {
      firstLine: `${lost === 0 ? 'Nothing' : `${lost} of the entries that are here, ${range},`} would be lost, and nothing is to be gained: the ledger here is whole`,
      advice: 'It has all that the backup has: start the broker.',
      ...{ lost: true, refused: true },
    }
  if (remembered === 0)
    return {
      firstLine: `All that was minted after the first ${size} entries is lost, and nothing on this machine knows how much that is`,
      advice: IMPORT,
      ...{ lost: true, refused: false },
    }
  if (lost === 0)
    return {
      firstLine: `Nothing is lost: the backup has all ${size} entries that this machine knows of`,
      advice: 'Verify it (verify-ledger), and start the broker.',
      ...{ lost: false, refused: false },
    }
  return {
    firstLine: `${lost} entries that were signed here are missing in the backup, and are lost unless you have them elsewhere: ${range}`,
    advice: `Until they are there, the broker refuses to start. ${IMPORT}`,
    ...{ lost: true, refused: false },
  }
}

const IMPORT = 'Bring them from an export or a mirror: agentkeys-broker import SOURCE'

/** Whether the ledger that is here verifies to the end of all that was signed of it. */
function isWhole(path: string, known: readonly SignedCheckpoint[]): boolean {
  try {
    verifiedFile(path, known)
    return true
  } catch (error) {
    if (error instanceof LedgerRefused || isSqliteError(error)) return false
    throw error
  }
}

/** What was there is kept as evidence. Between the two steps there is no ledger, which no broker begins again. */
function putInPlace(arriving: string, path: string): string[] {
  const aside = `${path}.replaced-${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`
  const moved = SQLITE_SUFFIXES.filter((suffix) => existsSync(path + suffix))
  // The -wal first: beside another file SQLite would apply it to that.
  for (const suffix of [...moved].reverse()) renameSync(path + suffix, aside + suffix)
  renameSync(arriving, path)
  syncFolder(dirname(path))
  return moved.length === 0 ? [] : [`What was at ${path} is kept as ${basename(aside)}`]
}

/** Only where there are none: older ones would let sessions in that were revoked since. */
function restoreSessions(directory: string, { dataDir, backend }: Config): string[] {
  const [from, to] = [join(directory, 'sessions.sqlite'), join(dataDir, 'sessions.sqlite')]
  if (backend.kind !== 'embedded' || existsSync(to) || !existsSync(from)) return []
  copyDatabase(from, to)
  syncFolder(dataDir)
  return [
    'The sessions are those of the backup too: one that was revoked since is valid again, so revoke it again',
  ]
}

/** A machine that remembers nothing begins to. */
function restoreCheckpoint(directory: string, config: Config): string[] {
  createFileAtomically(lastCheckpointPath(config.dataDir), readFileSync(join(directory, 'checkpoint')), 0o600)
  return []
}
