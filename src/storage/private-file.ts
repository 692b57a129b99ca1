import { accessSync, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'

import { accessRemedy } from './access-remedy.js'
import { syncFolder, syncNamed } from './folder.js'

/** A file that holds a secret cannot be used. `message` says why and what to do, without the file's content. */
export class PrivateFileError extends Error {
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`${path}: ${problem}`)
    this.name = 'PrivateFileError'
  }
}

/** The text of a file that only its owner may read; undefined if there is none. Throws PrivateFileError. */
export function readPrivateFile(path: string): string | undefined {
  return read(path, () => undefined)
}

/**
 * The same, and what was read survives a power cut. The file may be of a start that ended before its folder was synced,
 * or because that failed: a key that was built upon and is then gone takes its ledger with it.
 */
export function readDurablePrivateFile(path: string): string | undefined {
  return read(path, (file) => {
    // Where this process may make no file, another one put this one there (a mounted secret, say).
    if (!mayWrite(dirname(path))) return
    try {
      syncNamed(file, path)
      syncFolder(dirname(path))
    } catch (error) {
      throw new PrivateFileError(path, `cannot be believed: ${(error as Error).message}`)
    }
  })
}

function read(path: string, settle: (file: number) => void): string | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    const remedy = accessRemedy(path, code)
    throw new PrivateFileError(path, `cannot be read (${code})${remedy === undefined ? '' : `: ${remedy}`}`)
  }
  try {
    const mode = fstatSync(file).mode & 0o777
    if (mode & 0o077) {
      const octal = mode.toString(8).padStart(4, '0')
      throw new PrivateFileError(
        path,
        `its mode is ${octal}, others can read it: chmod 600 it, and consider a new secret`,
      )
    }
    settle(file)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Whether a file could not be made because this process may make none there. */
export function isUnwritable(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** The members of a private JSON file. JSON.parse's own message is dropped: it quotes the text, and that is secret. */
export function parsePrivateJson(path: string, text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new PrivateFileError(path, 'it is not JSON: restore it from its backup')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PrivateFileError(path, 'it must hold a JSON object: restore it from its backup')
  }
  return value as Record<string, unknown>
}
