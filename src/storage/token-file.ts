import { randomBytes, timingSafeEqual } from 'node:crypto'

import { sha256 } from '#sha256'

import { createFileAtomically } from './atomic-file.js'
import { PrivateFileError, readDurablePrivateFile } from './private-file.js'

/** A bearer kept in a file for its readers to present. It can be compared, and not be read back. */
export class FileToken {
  private readonly digest: Uint8Array

  constructor(token: string) {
    this.digest = digestOf(token)
  }

  /** In constant time: the digests have one length, whatever is presented, and tell nothing of what they are of. */
  matches(presented: string): boolean {
    return timingSafeEqual(this.digest, digestOf(presented))
  }
}

const TOKEN = /^([0-9a-f]{64})\n?$/

/** Reads the token, or makes one when there is no file. Throws PrivateFileError; never replaces a file that is there. */
export function loadOrCreateToken(path: string): FileToken {
  let text = readDurablePrivateFile(path)
  while (text === undefined) {
    createFileAtomically(path, `${randomBytes(32).toString('hex')}\n`, 0o600)
    text = readDurablePrivateFile(path)
  }
  const token = TOKEN.exec(text)?.[1]
  if (token === undefined) {
    throw new PrivateFileError(
      path,
      'it must hold 64 lower-case hex digits: delete it, and a new token is made',
    )
  }
  return new FileToken(token)
}

function digestOf(text: string): Uint8Array {
  return sha256(Buffer.from(text))
}
