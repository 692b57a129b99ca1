// The folder of .cedar files: read within bounds, and named by the hash of all that is in it.

import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'

import { canonicalize } from '../domain/ledger/canonical.js'

const MOST_FILES = 64
const MOST_BYTES = 256 * 1024

export class PolicyError extends Error {}

export interface PolicyFolder {
  /** Name → text, in order of name. */
  files: Readonly<Record<string, string>>
  /** Of the RFC 8785 form of `files`. */
  sha256: string
  /** Files that are not read, because their names do not end in .cedar. */
  ignored: readonly string[]
}

/** Read twice, so that a folder that is being changed is refused and not taken in part. Throws PolicyError. */
export function readPolicyFolder(path: string): PolicyFolder {
  const folder = readOnce(path)
  if (readOnce(path).sha256 !== folder.sha256)
    throw new PolicyError(`${path}: it was changed while it was read; try again when it is complete`)
  return folder
}

function readOnce(path: string): PolicyFolder {
  const names = namesIn(path)
  const chosen = names.filter((name) => name.endsWith('.cedar'))
  if (chosen.length === 0)
    throw new PolicyError(`${path}: no .cedar file is in it; without BROKER_POLICY there is no policy`)
  if (chosen.length > MOST_FILES) throw new PolicyError(`${path}: more than ${MOST_FILES} .cedar files`)
  let left = MOST_BYTES
  const files: Record<string, string> = {}
  for (const name of chosen) {
    const bytes = readBounded(join(path, name), left)
    left -= bytes.length
    files[name] = decoded(join(path, name), bytes)
  }
  const sha256 = createHash('sha256').update(canonicalize(files)).digest('hex')
  return { files, sha256, ignored: names.filter((name) => !name.endsWith('.cedar')) }
}

/** Hidden files are a matter of editors, and of Kubernetes, which swaps a folder by a hidden link. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .sort()
  } catch (error) {
    throw new PolicyError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Never more than `most` bytes, whatever the size that the file system reports; a pipe is not waited for. */
function readBounded(path: string, most: number): Buffer {
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    if (!fstatSync(file).isFile()) throw new PolicyError(`${path}: it is not a file`)
    const buffer = Buffer.alloc(most + 1)
    let length = 0
    for (let read = -1; read !== 0 && length <= most; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null)
    if (length > most) throw new PolicyError(`${path}: the policy is more than ${MOST_BYTES / 1024} KiB`)
    return buffer.subarray(0, length)
  } catch (error) {
    if (error instanceof PolicyError) throw error
    throw new PolicyError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

function decoded(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new PolicyError(`${path}: it is not UTF-8`)
  }
}
