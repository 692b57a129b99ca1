// Who signed a message with a wallet: EIP-191 `personal_sign` over secp256k1.

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'

import type { Wallet } from '../domain/wallet.js'

const SIGNATURE = /^0x(?<rs>[0-9a-fA-F]{128})(?<v>[0-9a-fA-F]{2})$/

/**
 * The wallet whose key made `signature` (r ‖ s ‖ v as 0x and 130 hex digits) over `message`; undefined for any other
 * text. s must be in the lower half (EIP-2), and v 27 or 28: there is one signature, not four spellings of it.
 */
export function signerOf(message: string, signature: string): Wallet | undefined {
  const { rs, v } = SIGNATURE.exec(signature)?.groups ?? {}
  const recovery = v === undefined ? -1 : parseInt(v, 16) - 27
  if (rs === undefined || (recovery !== 0 && recovery !== 1)) return undefined
  try {
    const parsed = secp256k1.Signature.fromBytes(hexToBytes(rs)).addRecoveryBit(recovery)
    if (parsed.hasHighS()) return undefined
    const point = parsed.recoverPublicKey(digestOf(message)).toBytes(false)
    return `0x${bytesToHex(keccak_256(point.slice(1)).slice(-20))}` as Wallet
  } catch {
    // r or s is out of range, or names no point of the curve.
    return undefined
  }
}

/** EIP-55: the case of each letter is a bit of the address's own hash, so that a slip is seen. */
export function checksummed(wallet: Wallet): string {
  const hex = wallet.slice(2)
  const bits = bytesToHex(keccak_256(utf8ToBytes(hex)))
  return `0x${Array.from(hex, (digit, at) => (parseInt(bits[at] ?? '0', 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`
}

function digestOf(message: string): Uint8Array {
  const bytes = utf8ToBytes(message)
  const prefix = utf8ToBytes(`\u0019Ethereum Signed Message:\n${bytes.length}`)
  return keccak_256(new Uint8Array([...prefix, ...bytes]))
}
