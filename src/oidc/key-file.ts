// The issuer's ES256 key on disk, in the form the original broker wrote: {"kid", "private_key_pem"}, mode 0600.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

import type { PublicJwk } from '../domain/ledger/events.js'
import { writeFileAtomically } from '../storage/atomic-file.js'
import { parsePrivateJson, PrivateFileError, readPrivateFile } from '../storage/private-file.js'

export interface SigningKey {
  kid: string
  privateKey: KeyObject
  jwk: PublicJwk
}

/** Loads the key, or makes one when there is no file. Throws PrivateFileError; never replaces a file that is there. */
export function loadOrCreateSigningKey(path: string, now: Date): SigningKey {
  const text = readPrivateFile(path)
  if (text !== undefined) return parseKeyFile(path, text)

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `v1-${Math.floor(now.getTime() / 1000)}`
  const private_key_pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  writeFileAtomically(path, `${JSON.stringify({ kid, private_key_pem }, null, 2)}\n`, 0o600)
  return { kid, privateKey, jwk: publicJwk(kid, privateKey) }
}

const KID = /^(?:[A-Za-z0-9._-]{1,128})$/

function parseKeyFile(path: string, text: string): SigningKey {
  const { kid, private_key_pem, purpose } = parsePrivateJson(path, text)
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
  return { kid, privateKey, jwk: publicJwk(kid, privateKey) }
}

/** Exactly the members AWS accepts: a JWK with key_ops is refused there. */
function publicJwk(kid: string, privateKey: KeyObject): PublicJwk {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' }) as { x: string; y: string }
  return { kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' }
}
