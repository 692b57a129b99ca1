import { randomBytes } from 'node:crypto'
import { closeSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { makeFolder, syncFolder, syncNamed } from './folder.js'

/**
 * Writes a whole file or none: a neighbour is written and synced, then renamed over `path`, then the folder is synced.
 * When this returns, the file survives a power cut. The folder is made if missing.
 */
export function writeFileAtomically(path: string, text: string | Uint8Array, mode: number): void {
  const folder = dirname(path)
  makeFolder(folder)
  const neighbour = neighbourOf(path)
  rmSync(neighbour, { force: true })
  try {
    const file = openSync(neighbour, 'wx', mode)
    try {
      writeFileSync(file, text)
      syncNamed(file, path)
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

/** The same, and never in place of a file that is there, even if another process makes it at this moment: false then. */
export function createFileAtomically(path: string, text: string | Uint8Array, mode: number): boolean {
  // Not the process id alone: brokers in containers all have the same one, and may share the folder.
  const whole = `${path}.${randomBytes(8).toString('hex')}`
  try {
    writeFileAtomically(whole, text, mode)
    linkSync(whole, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(whole, { force: true })
    syncFolder(dirname(path))
  }
}

/** The same without holding up the event loop, for a file that is written again and again. One write at a time. */
export async function replaceFile(path: string, text: string | Uint8Array, mode: number): Promise<void> {
  const neighbour = neighbourOf(path)
  await rm(neighbour, { force: true })
  const file = await open(neighbour, 'wx', mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(neighbour, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function neighbourOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
}
