import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** The names of the files in it survive a power cut when this returns. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    syncNamed(handle, folder)
  } finally {
    closeSync(handle)
  }
}

/** The system's own error says neither what could not be synced nor what that means. */
export class SyncError extends Error {
  /** The system's own, by which the ledger's store tells what it means. */
  readonly code: string | undefined

  constructor(
    readonly path: string,
    cause: NodeJS.ErrnoException,
  ) {
    super(
      `${path} cannot be synced (${cause.code}), and may be lost by a power cut: see that its disk works`,
      {
        cause,
      },
    )
    this.name = 'SyncError'
    this.code = cause.code
  }
}

/** Throws SyncError. */
export function syncNamed(handle: number, path: string): void {
  try {
    fsyncSync(handle)
  } catch (error) {
    throw new SyncError(path, error as NodeJS.ErrnoException)
  }
}

/** Makes the folder, for its owner alone, with those above it that are missing. They survive a power cut. */
export function makeFolder(folder: string): void {
  const topmost = mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (topmost === undefined) return
  const above = dirname(resolve(topmost))
  for (let made = resolve(folder); made !== above; made = dirname(made)) syncFolder(dirname(made))
}
