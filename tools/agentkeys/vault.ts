// Stored credentials are encrypted before they leave this machine: the backend keeps bytes it cannot read, and cannot
// swap those of one wallet or service for another's.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

import { CliError } from './report-error.js'

/** Whose credential, for which service. */
export interface CredentialName {
  wallet: string
  service: string
}

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const LABEL = 'agentkeys-credential/v1'

/** base64(version ‖ nonce ‖ AES-256-GCM ciphertext ‖ tag); a key of its own for each wallet and service. */
export function encrypt(secret: string, vaultKey: Uint8Array, name: CredentialName): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFor(vaultKey, name), nonce)
  cipher.setAAD(boundData(name))
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(VERSION), nonce, sealed, cipher.getAuthTag()]).toString('base64')
}

/** Throws CliError where it was encrypted with another key, for another wallet or service, or was altered. */
export function decrypt(text: string, vaultKey: Uint8Array, name: CredentialName): string {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length < 1 + NONCE_BYTES + TAG_BYTES || bytes[0] !== VERSION)
    throw new CliError(`the stored credential for ${name.service} has an unknown form`, 'store it again', 1)
  const nonce = bytes.subarray(1, 1 + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', keyFor(vaultKey, name), nonce, {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(boundData(name))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    const opened = decipher.update(bytes.subarray(1 + NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([opened, decipher.final()]).toString('utf8')
  } catch (error) {
    throw new CliError(
      `the stored credential for ${name.service} cannot be decrypted here`,
      'read it on the machine that stored it, copy its vault key, or store it again',
      1,
      { cause: error },
    )
  }
}

/** RFC 5869; the label and the name keep keys of other uses and other credentials apart. */
function keyFor(vaultKey: Uint8Array, name: CredentialName): Buffer {
  return Buffer.from(hkdfSync('sha256', vaultKey, Buffer.alloc(0), boundData(name), 32))
}

/** JSON keeps the parts apart: no wallet and service can be read as another pair. */
function boundData({ wallet, service }: CredentialName): Buffer {
  return Buffer.from(JSON.stringify([LABEL, VERSION, wallet.toLowerCase(), service]))
}
