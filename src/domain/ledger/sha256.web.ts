import { sha256 as noble } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

/** SHA-256 of `bytes`, where there is no node:crypto. Held to the same vectors as sha256.node.ts. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return noble(bytes)
}

/** SHA-256 of `bytes`, as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(noble(bytes))
}
