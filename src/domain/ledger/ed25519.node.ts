import { createPublicKey, verify } from 'node:crypto'

import { ed25519 } from '@noble/curves/ed25519.js'

/** RFC 8410: what stands before a raw Ed25519 key in its SubjectPublicKeyInfo. */
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * The check of plain Ed25519 signatures (RFC 8032) under one key. package.json's imports choose this file in Node, where it
 * is twenty times as fast as ed25519.web.ts. A key of small order, under which anything verifies, verifies nothing.
 */
export function ed25519Check(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => boolean {
  if (isWeak(publicKey)) return () => false
  const key = createPublicKey({
    key: Buffer.concat([SPKI_ED25519, publicKey]),
    format: 'der',
    type: 'spki',
  })
  return (message, signature) => verify(null, message, key, signature)
}

function isWeak(publicKey: Uint8Array): boolean {
  try {
    return ed25519.Point.fromBytes(publicKey).isSmallOrder()
  } catch {
    // No point of the curve, or one in a second encoding.
    return true
  }
}
