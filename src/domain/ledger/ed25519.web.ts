import { ed25519 } from '@noble/curves/ed25519.js'

/** As in ed25519.node.ts, where there is no node:crypto. Held to the same vectors. */
export function ed25519Check(publicKey: Uint8Array): (message: Uint8Array, signature: Uint8Array) => boolean {
  return (message, signature) => {
    try {
      return ed25519.verify(signature, message, publicKey, { zip215: false })
    } catch {
      return false
    }
  }
}
