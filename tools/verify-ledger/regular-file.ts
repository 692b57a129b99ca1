// Files that the reader names, or that lie in a directory from elsewhere: never a pipe or a device, never more than so
// many bytes of them.

import {
  constants,
  lstatSync,
  readSync,
  realpathSync,
  openSync,
  closeSync,
  type Stats,
  statSync,
} from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'

import { SourceError } from './sources/source.js'

/** Opens a regular file, or a link to one. Opening a pipe would wait for ever, and a device may do anything. */
export async function openRegular(path: string): Promise<FileHandle> {
  if (!(await stat(path)).isFile()) throw notRegular(path)
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  // It may have been exchanged in between.
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw notRegular(path)
}

export function notRegular(path: string): SourceError {
  return new SourceError(`${path} cannot be read: it is no regular file`)
}

/** The whole file. Rejects with SourceError beyond `maxBytes`, whatever size the file system says it has. */
export async function readBounded(file: FileHandle, path: string, maxBytes: number): Promise<Uint8Array> {
  const { size } = await file.stat()
  if (size > maxBytes) throw tooLong(path, maxBytes)
  const bytes = new Uint8Array(Math.max(size, Math.min(maxBytes, 4_096)) + 1)
  let length = 0
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length)
    if (bytesRead === 0) return bytes.subarray(0, length)
    length += bytesRead
  }
  throw tooLong(path, Math.min(maxBytes, bytes.length - 1))
}

/** The same for a file that an option names: a pipe of the reader's own shell is welcome there. */
export function readBoundedSync(path: string, maxBytes: number): Uint8Array {
  const file = openSync(path, 'r')
  try {
    const chunks: Uint8Array[] = []
    for (let length = 0; length <= maxBytes;) {
      const chunk = new Uint8Array(64 * 1024)
      const read = readSync(file, chunk)
      if (read === 0) return Buffer.concat(chunks)
      chunks.push(chunk.subarray(0, read))
      length += read
    }
    throw tooLong(path, maxBytes)
  } finally {
    closeSync(file)
  }
}

function tooLong(path: string, maxBytes: number): SourceError {
  return new SourceError(`${path} is longer than ${maxBytes} bytes`)
}

/** What a path to be written to names: links are followed. `file` is to be replaced, `other` (a pipe, a device) is not. */
export type Target = { kind: 'absent' | 'file' | 'other'; path: string }

/** Throws SourceError for a directory, and for a link that leads nowhere. */
export function targetOf(path: string): Target {
  const found = attempt(() => statSync(path))
  if (!found) {
    if (attempt(() => lstatSync(path))) throw new SourceError(`${path} is a link to a file that is not there`)
    return { kind: 'absent', path }
  }
  if (found.isDirectory()) throw new SourceError(`${path} is a directory`)
  return found.isFile() ? { kind: 'file', path: realpathSync(path) } : { kind: 'other', path }
}

function attempt(look: () => Stats): Stats | undefined {
  try {
    return look()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
