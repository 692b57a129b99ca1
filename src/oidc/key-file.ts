// The issuer's ES256 key on disk, in the form the original broker wrote: {"kid", "private_key_pem"}, mode 0600.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'

import type { PublicJwk } from '../domain/ledger/events.js'
import { writeFileAtomically } from '../storage/atomic-file.js'

export interface SigningKey {
  kid: string
  privateKey: KeyObject
  jwk: PublicJwk
}

/** The key file cannot be used. The message says why and what to do; it never holds key material. */
export class KeyFileError extends Error {
  constructor(path: string, problem: string) {
    super(`BROKER_OIDC_KEYPAIR_PATH ${path}: ${problem}`)
    this.name = 'KeyFileError'
  }
}

/** Loads the key, or makes one when there is no file. Throws KeyFileError; never replaces a file that is there. */
export function loadOrCreateSigningKey(path: string, now: Date): SigningKey {
  const text = readPrivateFile(path)
  if (text !== undefined) return parseKeyFile(path, text)

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `v1-${Math.floor(now.getTime() / 1000)}`
  const private_key_pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  writeFileAtomically(path, `${JSON.stringify({ kid, private_key_pem }, null, 2)}\n`, 0o600)
  return { kid, privateKey, jwk: publicJwk(kid, privateKey) }
}

function readPrivateFile(path: string): string | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new KeyFileError(path, `cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  try {
    const mode = fstatSync(file).mode & 0o777
    if (mode & 0o077) {
      const octal = mode.toString(8).padStart(4, '0')
      throw new KeyFileError(path, `mode is ${octal}, others can read it: chmod 600 it, and consider a new key`)
    }
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

const KID = /^(?:[A-Za-z0-9._-]{1,128})$/

function parseKeyFile(path: string, text: string): SigningKey {
  const { kid, private_key_pem, purpose } = asObject(path, text)
  if (typeof kid !== 'string' || !KID.test(kid)) {
    throw new KeyFileError(path, 'kid must be 1 to 128 of A-Z a-z 0-9 . _ -')
  }
  if (purpose !== undefined && purpose !== 'oidc') throw new KeyFileError(path, 'purpose must be oidc')
  if (typeof private_key_pem !== 'string') throw new KeyFileError(path, 'private_key_pem is missing')
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(private_key_pem)
  } catch {
    // The cause is dropped: OpenSSL's message may quote what it read.
    throw new KeyFileError(path, 'private_key_pem is no private key: restore the file from its backup')
  }
  const curve = privateKey.asymmetricKeyDetails?.namedCurve
  if (privateKey.asymmetricKeyType !== 'ec' || curve !== 'prime256v1') {
    throw new KeyFileError(path, `the key must be EC P-256, not ${curve ?? privateKey.asymmetricKeyType}`)
  }
  return { kid, privateKey, jwk: publicJwk(kid, privateKey) }
}

function asObject(path: string, text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // JSON.parse quotes the text in its message, and the text is a key.
    throw new KeyFileError(path, 'is not JSON: restore it from its backup')
  }
  if (typeof value !== 'object' || value === null) throw new KeyFileError(path, 'must be a JSON object')
  return value as Record<string, unknown>
}

/** Exactly the members AWS accepts: a JWK with key_ops is refused there. */
function publicJwk(kid: string, privateKey: KeyObject): PublicJwk {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' }) as { x: string; y: string }
  return { kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' }
}
