// The issuer's ES256 key on disk, in the form the original broker wrote: {"kid", "private_key_pem"}, mode 0600.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

import type { PublicJwk } from '../domain/ledger/events.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import { createFileAtomically, writeFileAtomically } from '../storage/atomic-file.js'
import {
  parsePrivateJson,
  PrivateFileError,
  readDurablePrivateFile,
  readPrivateFile,
} from '../storage/private-file.js'

export interface SigningKey {
  kid: string
  privateKey: KeyObject
  jwk: PublicJwk
  /** The file it is in. */
  path: string
  /** A broker made it for want of a file, and the ledger has not heard of it yet. */
  isNew: boolean
  /** This process made the file. */
  madeHere: boolean
}

/**
 * Loads the key, or makes one when there is no file. The file says that the key is new, until settleSigningKey. Throws
 * PrivateFileError; never replaces a file that is there.
 */
export function loadOrCreateSigningKey(path: string): SigningKey {
  for (let madeHere = false; ;) {
    const text = readDurablePrivateFile(path)
    if (text !== undefined) return { ...parseKeyFile(path, text), madeHere }
    // Another broker may make the same file at this moment: then its key is the key.
    madeHere = createFileAtomically(path, keyFile(newKey()), 0o600)
  }
}

/** The key of a file that is there. Undefined: no file is. Throws PrivateFileError. */
export function loadSigningKey(path: string): SigningKey | undefined {
  const text = readDurablePrivateFile(path)
  return text === undefined ? undefined : { ...parseKeyFile(path, text), madeHere: false }
}

/** A new key in a file of `folder` that is called after it, durable before any ledger hears of it. */
export function createSigningKey(folder: string): SigningKey {
  const key = newKey()
  const text = keyFile(key)
  const path = join(folder, `${key.kid}.json`)
  createFileAtomically(path, text, 0o600)
  return { ...parseKeyFile(path, text), madeHere: true }
}

interface NewKey {
  /** RFC 7638: two keys never have one kid, whichever brokers made them, and when. */
  kid: string
  privateKey: KeyObject
}

function newKey(): NewKey {
  for (;;) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const kid = thumbprint(publicMembers(privateKey))
    // On a command line it would be taken for an option.
    if (!kid.startsWith('-')) return { kid, privateKey }
  }
}

/** The ledger knows the key, or an operator made it on purpose: from now on it may take the place of another one. */
export function settleSigningKey(path: string, { kid, privateKey, isNew }: SigningKey): void {
  if (isNew) writeFileAtomically(path, formatKeyFile({ kid, private_key_pem: pem(privateKey) }), 0o600)
}

/** Puts `key` into the file at `path`, in the place of what is there. */
export function moveSigningKey({ kid, privateKey, path: from }: SigningKey, path: string): void {
  writeFileAtomically(path, formatKeyFile({ kid, private_key_pem: pem(privateKey) }), 0o600)
  rmSync(from, { force: true })
}

/** Takes away a key that was made for nothing: its ledger has another one. */
export function discardSigningKey(path: string, { madeHere }: SigningKey): void {
  const text = madeHere ? readPrivateFile(path) : undefined
  // Another broker that shares the file may have taken the key into use meanwhile.
  if (text !== undefined && parseKeyFile(path, text).isNew) rmSync(path, { force: true })
}

function keyFile({ kid, privateKey }: NewKey): string {
  return formatKeyFile({ kid, private_key_pem: pem(privateKey), new: true })
}

const formatKeyFile = (members: { kid: string; private_key_pem: string; new?: true }) =>
  `${JSON.stringify(members, null, 2)}\n`

const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string

const KID = /^(?:[A-Za-z0-9._-]{1,128})$/

function parseKeyFile(path: string, text: string): Omit<SigningKey, 'madeHere'> {
  const { kid, private_key_pem, purpose, new: isNew } = parsePrivateJson(path, text)
  if (typeof kid !== 'string' || !KID.test(kid)) {
    throw new PrivateFileError(path, 'its kid must be 1 to 128 of A-Z a-z 0-9 . _ -')
  }
  if (purpose !== undefined && purpose !== 'oidc')
    throw new PrivateFileError(path, 'its purpose must be oidc: it is another key')
  if (typeof private_key_pem !== 'string')
    throw new PrivateFileError(path, 'it has no private_key_pem: restore it from its backup')
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(private_key_pem)
  } catch {
    // The cause is dropped: OpenSSL's message may quote what it read.
    throw new PrivateFileError(path, 'its private_key_pem is no private key: restore it from its backup')
  }
  const curve = privateKey.asymmetricKeyDetails?.namedCurve
  if (privateKey.asymmetricKeyType !== 'ec' || curve !== 'prime256v1') {
    throw new PrivateFileError(path, `its key must be EC P-256, not ${curve ?? privateKey.asymmetricKeyType}`)
  }
  return { kid, privateKey, jwk: publicJwk(kid, privateKey), path, isNew: isNew === true }
}

/** Exactly the members AWS accepts: a JWK with key_ops is refused there. */
function publicJwk(kid: string, privateKey: KeyObject): PublicJwk {
  return { ...publicMembers(privateKey), kid, alg: 'ES256', use: 'sig' }
}

function publicMembers(privateKey: KeyObject): Pick<PublicJwk, 'kty' | 'crv' | 'x' | 'y'> {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' }) as { x: string; y: string }
  return { kty: 'EC', crv: 'P-256', x, y }
}
