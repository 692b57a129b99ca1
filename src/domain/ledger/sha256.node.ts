// crypto.hash is the one-shot form: half the time of createHash for a ledger entry.
import { hash } from 'node:crypto'

/** SHA-256 of `bytes`. package.json's imports choose this file in Node and sha256.web.ts elsewhere. */
export function sha256(bytes: Uint8Array): Uint8Array {
  // Not a Buffer: its slice() shares memory where a Uint8Array's copies, and the browser has only the latter.
  const digest = hash('sha256', bytes, 'buffer')
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.byteLength)
}

/** SHA-256 of `bytes`, as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
