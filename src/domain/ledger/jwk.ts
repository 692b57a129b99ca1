// The public half of a signing key: which key it is, whatever it is called, and whether it is one at all.

import { sha256 } from '#sha256'

import { p256 } from '@noble/curves/nist.js'

import type { PublicJwk } from './events.js'
import { decodeBase64, encodeBase64, FormatError, utf8 } from './encoding.js'

/** RFC 7638: the SHA-256, in base64url, of the members that make the key, in the order of their names. */
export function thumbprint({ crv, kty, x, y }: Pick<PublicJwk, 'crv' | 'kty' | 'x' | 'y'>): string {
  return base64url(sha256(utf8(JSON.stringify({ crv, kty, x, y }))))
}

/** Whether x and y are a point of P-256, and not in a second spelling: a verifier takes nothing else for a key. */
export function isOnCurve({ x, y }: Pick<PublicJwk, 'x' | 'y'>): boolean {
  try {
    p256.Point.fromBytes(Uint8Array.of(UNCOMPRESSED, ...coordinate(x), ...coordinate(y)))
    return true
  } catch {
    // @noble's own error, or ours: neither names the key.
    return false
  }
}

const UNCOMPRESSED = 0x04
const COORDINATE_BYTES = 32

function coordinate(text: string): Uint8Array {
  const base64 = text.replace(/-/g, '+').replace(/_/g, '/')
  const bytes = decodeBase64(base64.padEnd(Math.ceil(base64.length / 4) * 4, '='), 'coordinate')
  if (bytes.length !== COORDINATE_BYTES)
    throw new FormatError('bad-base64', 'coordinate: 32 bytes are expected')
  return bytes
}

function base64url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}
