// C2SP signed-note: a text, and below it who signed it.

import { ed25519 } from '@noble/curves/ed25519.js'
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js'

import { sha256 } from '#sha256'

import { decodeBase64, encodeBase64, FormatError, readText, type Source, utf8 } from './encoding.js'

/** The kinds of signature that are understood: the log's own, and a witness's with a time (tlog-cosignature). */
export type KeyType = 'ed25519' | 'cosignature'

const TYPE_BYTE = { ed25519: 0x01, cosignature: 0x04 } satisfies Record<KeyType, number>

/** The public half. Only name and ID together name a key; the ID alone is far too short to be trusted. */
export interface NoteKey {
  readonly name: string
  readonly type: KeyType
  /** Eight lower-case hex digits. */
  readonly id: string
  readonly publicKey: Uint8Array
}

/** `sign` makes a plain Ed25519 signature of the message. Node's crypto does it many times faster than @noble. */
export interface Signer {
  readonly key: NoteKey
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** A key that is known, with the check for its kind of signature. */
export interface Verifier {
  readonly key: NoteKey
  readonly verify: (text: string, signature: Uint8Array) => boolean
}

/** One line: who claims to have signed, and what stands behind the key ID. */
export interface NoteSignature {
  name: string
  id: string
  signature: Uint8Array
}

export interface Note {
  /** Ends in LF. These bytes are what was signed. */
  text: string
  signatures: readonly NoteSignature[]
}

const KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

export function noteKey(name: string, type: KeyType, publicKey: Uint8Array): NoteKey {
  if (!isKeyName(name)) throw badKey('the name has a space, a control character or a plus, or is empty')
  if (publicKey.length !== KEY_BYTES) throw badKey(`an Ed25519 key has ${KEY_BYTES} bytes`)
  const hash = sha256(concatBytes(utf8(`${name}\n`), Uint8Array.of(TYPE_BYTE[type]), publicKey))
  return { name, type, id: bytesToHex(hash.subarray(0, ID_BYTES)), publicKey }
}

/** `<name>+<key ID>+<base64 of type and key>`. */
export function formatVkey({ name, type, id, publicKey }: NoteKey): string {
  return `${name}+${id}+${encodeBase64(concatBytes(Uint8Array.of(TYPE_BYTE[type]), publicKey))}`
}

const VKEY = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s
const MAX_KEY_TEXT = 1024

export function parseVkey(text: string): NoteKey {
  const [, name, id, encoded] = (text.length <= MAX_KEY_TEXT && VKEY.exec(text)) || []
  if (name === undefined || encoded === undefined) throw badKey('<name>+<8 hex digits>+<base64> is expected')
  const bytes = decodeBase64(encoded, 'vkey')
  const type = (Object.keys(TYPE_BYTE) as KeyType[]).find((known) => TYPE_BYTE[known] === bytes[0])
  if (!type) throw badKey('only the types 0x01 (Ed25519) and 0x04 (Ed25519 cosignature) are understood')
  const key = noteKey(name, type, bytes.subarray(1))
  if (key.id !== id) throw badKey('the key ID is not that of the name and the key')
  return key
}

/** The secret half, in the form that Go's note package prints. Never logged, and never part of an error. */
export function formatSkey(name: string, seed: Uint8Array): string {
  const { id } = noteKey(name, 'ed25519', ed25519.getPublicKey(seed))
  return `${SKEY_PREFIX}${name}+${id}+${encodeBase64(concatBytes(Uint8Array.of(TYPE_BYTE.ed25519), seed))}`
}

const SKEY_PREFIX = 'PRIVATE+KEY+'

export function parseSkey(text: string): { key: NoteKey; seed: Uint8Array } {
  const [, name, id, encoded] =
    (text.length <= MAX_KEY_TEXT &&
      text.startsWith(SKEY_PREFIX) &&
      VKEY.exec(text.slice(SKEY_PREFIX.length))) ||
    []
  if (name === undefined || encoded === undefined)
    throw badKey('PRIVATE+KEY+<name>+<8 hex digits>+<base64> is expected')
  const bytes = decodeBase64(encoded, 'skey')
  if (bytes[0] !== TYPE_BYTE.ed25519) throw badKey('only the type 0x01 (Ed25519) is understood')
  const seed = bytes.slice(1)
  if (seed.length !== KEY_BYTES) throw badKey(`an Ed25519 seed has ${KEY_BYTES} bytes`)
  const key = noteKey(name, 'ed25519', ed25519.getPublicKey(seed))
  // As in Go, the ID is that of the public key.
  if (key.id !== id) throw badKey('the key ID is not that of the name and the key')
  return { key, seed }
}

export function signerFromSeed(name: string, type: KeyType, seed: Uint8Array): Signer {
  const key = noteKey(name, type, ed25519.getPublicKey(seed))
  return { key, sign: (message) => ed25519.sign(message, seed) }
}

/** Strict RFC 8032: no point or scalar in a second encoding, and no key of small order, under which anything verifies. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== KEY_BYTES) return false
  return ed25519.verify(signature, message, publicKey, { zip215: false })
}

/** For keys of type 0x01, which sign the text as it is. */
export function textVerifier(key: NoteKey): Verifier {
  return { key, verify: (text, signature) => verifyEd25519(key.publicKey, utf8(text), signature) }
}

export function signText(text: string, { key, sign }: Signer): NoteSignature {
  return { name: key.name, id: key.id, signature: sign(utf8(text)) }
}

/** The specification asks for 16 signatures at least, and a post-quantum one may take 7 kB. */
export const NOTE_LIMITS = { what: 'signed note', maxBytes: 128 * 1024 }
const MAX_SIGNATURES = 64

export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${formatSignatures(signatures)}`
}

export function parseNote(source: Source): Note {
  const all = readText(source, NOTE_LIMITS)
  // The last blank line: the text may have others.
  const end = all.lastIndexOf('\n\n')
  if (end === -1)
    throw new FormatError('truncated', 'signed note: a blank line and signatures must follow the text')
  return { text: all.slice(0, end + 1), signatures: signatureLines(all.slice(end + 2)) }
}

/** Signature lines alone: what a witness answers. */
export function parseSignatures(source: Source): NoteSignature[] {
  return signatureLines(readText(source, { ...NOTE_LIMITS, what: 'signatures' }))
}

export function formatSignatures(signatures: readonly NoteSignature[]): string {
  return signatures
    .map(({ name, id, signature }) => `— ${name} ${encodeBase64(concatBytes(idBytes(id), signature))}\n`)
    .join('')
}

const ID_BYTES = 4
const SIGNATURE_LINE = /^— ([^ ]+) ([^ ]+)$/

function signatureLines(text: string): NoteSignature[] {
  if (!text.endsWith('\n'))
    throw new FormatError('truncated', 'signature: a line that ends in LF is expected')
  const lines = text.slice(0, -1).split('\n')
  if (lines.length > MAX_SIGNATURES)
    throw new FormatError('too-large', `signatures: more than ${MAX_SIGNATURES}`)
  const signatures = lines.map(parseSignatureLine)
  const keys = new Set(signatures.map(({ name, id }) => `${id} ${name}`))
  if (keys.size !== signatures.length) throw new FormatError('duplicate', 'signatures: two of the same key')
  return signatures
}

function parseSignatureLine(line: string): NoteSignature {
  const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? []
  if (name === undefined || encoded === undefined || !isKeyName(name)) {
    throw new FormatError('bad-line', 'signature: "— <key name> <base64>" is expected')
  }
  const blob = decodeBase64(encoded, 'signature')
  if (blob.length <= ID_BYTES)
    throw new FormatError('truncated', 'signature: nothing stands behind the key ID')
  return { name, id: bytesToHex(blob.subarray(0, ID_BYTES)), signature: blob.subarray(ID_BYTES) }
}

export type NoteVerdict =
  | { ok: true; signatures: readonly { key: NoteKey; signature: Uint8Array }[] }
  | { ok: false; problem: 'bad-signature' | 'no-known-key' }

/** Lines of unknown keys are ignored; one bad line of a known key refuses the note, however many others are good. */
export function verifyNote(note: Note, known: readonly Verifier[]): NoteVerdict {
  const signatures: { key: NoteKey; signature: Uint8Array }[] = []
  for (const { name, id, signature } of note.signatures) {
    for (const { key, verify } of known) {
      if (key.name !== name || key.id !== id) continue
      if (!verify(note.text, signature)) return { ok: false, problem: 'bad-signature' }
      signatures.push({ key, signature })
    }
  }
  return signatures.length > 0 ? { ok: true, signatures } : { ok: false, problem: 'no-known-key' }
}

/** \s has all Unicode spaces but U+0085. A control character would break the line it stands in. */
function isKeyName(name: string): boolean {
  return name !== '' && !/[\s\u0085+\p{Cc}]/u.test(name) && name.isWellFormed()
}

function idBytes(id: string): Uint8Array {
  return Uint8Array.from({ length: ID_BYTES }, (_, i) => parseInt(id.slice(2 * i, 2 * i + 2), 16))
}

function badKey(message: string): FormatError {
  return new FormatError('bad-key', `key: ${message}`)
}
