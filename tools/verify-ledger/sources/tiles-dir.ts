import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { openRegular, readBounded } from '../regular-file.js'

import { SourceError } from './source.js'
import type { Files } from './tiles.js'

/** A directory that holds what a log serves: checkpoint, tile/0/000 and so on. Compressed files are not looked for. */
export class DirectoryFiles implements Files {
  constructor(readonly description: string) {}

  async get(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const name = join(this.description, path)
    try {
      const file = await openRegular(name)
      try {
        return await readBounded(file, name, maxBytes)
      } finally {
        await file.close()
      }
    } catch (cause) {
      if (cause instanceof SourceError) throw cause
      const { code, message } = cause as NodeJS.ErrnoException
      // tile/0/000 is a file of a small log; tile/0/000.p/5 then has no directory to be in.
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw new SourceError(`${name} cannot be read: ${message}`, { cause })
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}
