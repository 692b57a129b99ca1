// crypto.hash is the one-shot form: half the time of createHash for a ledger entry.
import { hash } from 'node:crypto'

/** SHA-256 of `bytes`. package.json's imports choose this file in Node and sha256.web.ts elsewhere. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

/** SHA-256 of `bytes`, as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
