import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Writes a whole file or none: a neighbour is written and synced, then renamed over `path`, then the folder is synced.
 * When this returns, the file survives a power cut. The folder is made if missing.
 */
export function writeFileAtomically(path: string, text: string | Uint8Array, mode: number): void {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const neighbour = join(folder, `.${basename(path)}.${process.pid}.tmp`)
  rmSync(neighbour, { force: true })
  try {
    const file = openSync(neighbour, 'wx', mode)
    try {
      writeFileSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(neighbour, path)
  } catch (error) {
    rmSync(neighbour, { force: true })
    throw error
  }
  syncFolder(folder)
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
