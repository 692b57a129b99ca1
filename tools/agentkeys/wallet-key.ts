// A secp256k1 wallet key: the identity that a session is made for. Signing as wallets do, EIP-191 `personal_sign`.

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'

import { CliError } from './report-error.js'

/** 32 bytes as 64 hex digits, with or without 0x. Throws CliError that does not quote the text. */
export function parseWalletKey(text: string, from: string): Uint8Array {
  const hex = text.trim().replace(/^0x/, '')
  const key = /^[0-9a-fA-F]{64}$/.test(hex) ? hexToBytes(hex) : undefined
  if (key && secp256k1.utils.isValidSecretKey(key)) return key
  throw new CliError(`${from} holds no secp256k1 key`, 'it must be 64 hex digits', 1)
}

export function newWalletKey(): string {
  return bytesToHex(secp256k1.utils.randomSecretKey())
}

/** The address, lower-cased: the last 20 bytes of the Keccak-256 of the public key. */
export function addressOf(key: Uint8Array): string {
  const point = secp256k1.getPublicKey(key, false).slice(1)
  return `0x${bytesToHex(keccak_256(point).slice(-20))}`
}

/** r, s (low) and v (27 or 28), as 0x and 130 hex digits. ERC-191 version 0x45, ERC-2098's long form. */
export function signMessage(message: string, key: Uint8Array): string {
  const bytes = utf8ToBytes(message)
  const prefix = utf8ToBytes(`\u0019Ethereum Signed Message:\n${bytes.length}`)
  const digest = keccak_256(new Uint8Array([...prefix, ...bytes]))
  const signature = secp256k1.sign(digest, key, { prehash: false, lowS: true, format: 'recovered' })
  // noble puts the recovery bit first; wallets put it last, and add 27.
  const [recovery = 0, ...rs] = signature
  return `0x${bytesToHex(new Uint8Array(rs))}${(27 + recovery).toString(16)}`
}
