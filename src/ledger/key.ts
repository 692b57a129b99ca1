// The ledger's own Ed25519 key, which signs checkpoints. Not the issuer's key: witnesses take no ES256.

import { rmSync } from 'node:fs'
import { createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto'

import { formatSkey, formatVkey, noteKey, parseSkey, type Signer } from '../domain/ledger/note.js'
import { createFileAtomically } from '../storage/atomic-file.js'
import {
  parsePrivateJson,
  PrivateFileError,
  readDurablePrivateFile,
  readPrivateFile,
} from '../storage/private-file.js'

export interface LedgerKey {
  /** The file was made just now. */
  isNew: boolean
  /** What auditors need: goes into LedgerOpened and under /ledger/vkey. */
  vkey: string
  signer: Signer
}

/** Loads ledger-key.json, `{"vkey", "skey"}` with the key in Go's form; undefined if there is no file. Throws PrivateFileError. */
export function loadLedgerKey(path: string, origin: string): LedgerKey | undefined {
  const text = readDurablePrivateFile(path)
  return text === undefined ? undefined : ledgerKey(origin, parseKey(path, text, origin))
}

/** The name of the ledger whose key it is; undefined where there is none that can be read: loading it says why. */
export function nameOfLedgerKey(path: string): string | undefined {
  try {
    const text = readPrivateFile(path)
    const { skey } = text === undefined ? {} : parsePrivateJson(path, text)
    return typeof skey === 'string' ? parseSkey(skey).key.name : undefined
  } catch {
    return undefined
  }
}

/**
 * Makes one when there is no file: for a ledger that is not there either. A ledger keeps its key for life, so nothing
 * ever replaces a file that is there. Throws PrivateFileError.
 */
export function loadOrCreateLedgerKey(path: string, origin: string): LedgerKey {
  for (;;) {
    const kept = loadLedgerKey(path, origin)
    if (kept) return kept
    const seed = randomBytes(32)
    const key = ledgerKey(origin, seed)
    const file = { vkey: key.vkey, skey: formatSkey(origin, seed) }
    // Another broker may make the same file at this moment: then its key is the key.
    if (createFileAtomically(path, `${JSON.stringify(file, null, 2)}\n`, 0o600))
      return { ...key, isNew: true }
  }
}

/** Takes away a key that was made for a ledger which another broker opened with its own. */
export function discardLedgerKey(path: string, { isNew }: LedgerKey): void {
  if (isNew) rmSync(path, { force: true })
}

function parseKey(path: string, text: string, origin: string): Uint8Array {
  const { skey } = parsePrivateJson(path, text)
  if (typeof skey !== 'string') throw new PrivateFileError(path, 'it has no skey: restore it from its backup')
  let parsed: ReturnType<typeof parseSkey>
  try {
    parsed = parseSkey(skey)
  } catch {
    // The parser's message may quote the key.
    throw new PrivateFileError(path, 'its skey is malformed: restore it from its backup')
  }
  if (parsed.key.name !== origin) {
    const remedy =
      'set BROKER_LEDGER_ORIGIN (or BROKER_OIDC_ISSUER) back, or let BROKER_LEDGER_KEY_PATH name another file'
    throw new PrivateFileError(
      path,
      `it is the key of ${parsed.key.name}, and this ledger is ${origin}: ${remedy}`,
    )
  }
  return parsed.seed
}

/** RFC 8410: what stands before a raw Ed25519 seed in PKCS#8. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX_BYTES = 12

/** Signs with Node's own Ed25519, ten times as fast as the portable one. */
function ledgerKey(origin: string, seed: Uint8Array): LedgerKey {
  const der = Buffer.concat([PKCS8_ED25519, seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const key = noteKey(origin, 'ed25519', new Uint8Array(spki.subarray(SPKI_PREFIX_BYTES)))
  return {
    isNew: false,
    vkey: formatVkey(key),
    signer: { key, sign: (message) => sign(null, message, privateKey) },
  }
}
