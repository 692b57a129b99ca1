// crypto.hash is the one-shot form: half the time of createHash for a ledger entry.
import { hash } from 'node:crypto'

const BYTES = 32

/** SHA-256 of `bytes`. package.json's imports choose this file in Node and sha256.web.ts elsewhere. */
export function sha256(bytes: Uint8Array): Uint8Array {
  // Not as a Buffer: that one's memory lies outside the heap and costs as much as hashing a Merkle node does. Nor would
  // it be the browser's type: a Buffer's slice() shares memory where a Uint8Array's copies.
  const binary = hash('sha256', bytes, 'binary')
  const digest = new Uint8Array(BYTES)
  for (let i = 0; i < BYTES; i++) digest[i] = binary.charCodeAt(i)
  return digest
}

/** SHA-256 of `bytes`, as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
