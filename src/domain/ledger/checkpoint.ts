// C2SP tlog-checkpoint: a signed note whose text is origin, size and root. Extension lines are refused: witnesses
// refuse them too, and no ML-DSA cosignature covers them.

import { cosignatureTime, cosignatureVerifier } from './cosignature.js'
import type { TreeHead } from './merkle.js'
import {
  formatNote,
  type Note,
  type NoteKey,
  parseNote,
  type Signer,
  signText,
  textVerifier,
  type Verifier,
  verifyNote,
} from './note.js'
import {
  decodeHash,
  encodeBase64,
  FormatError,
  HASH_BYTES,
  parseDecimal,
  readText,
  type Source,
} from './encoding.js'

export interface Checkpoint extends TreeHead {
  origin: string
}

/** A checkpoint with the note it came in; `note.text` is its body. Not verified yet. */
export interface SignedCheckpoint extends Checkpoint {
  note: Note
}

const BODY_LIMITS = { what: 'checkpoint', maxBytes: 4096 }

export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (root.length !== HASH_BYTES) throw new RangeError(`a root has ${HASH_BYTES} bytes`)
  return `${origin}\n${size}\n${encodeBase64(root)}\n`
}

/** Reads the body: exactly three lines. Throws FormatError. */
export function parseCheckpoint(source: Source): Checkpoint {
  const lines = readText(source, BODY_LIMITS).split('\n')
  const [origin, size, root, end] = lines
  if (origin === undefined || size === undefined || root === undefined || end === undefined) {
    throw new FormatError(
      'truncated',
      'checkpoint: origin, size and root are expected, each line ending in LF',
    )
  }
  if (origin === '') throw new FormatError('bad-line', 'checkpoint: the origin is empty')
  if (end !== '' || lines.length > 4) {
    throw new FormatError('extension-line', 'checkpoint: nothing may follow the root')
  }
  return { origin, size: parseDecimal(size, 'checkpoint size'), root: decodeHash(root, 'checkpoint root') }
}

/** The signed note as text. Its body is parsed first, so that nothing unreadable is signed. */
export function signCheckpoint(checkpoint: Checkpoint, signer: Signer): string {
  if (signer.key.name !== checkpoint.origin || signer.key.type !== 'ed25519') {
    throw new RangeError("a checkpoint is signed by the log's own key, which has the origin for its name")
  }
  const text = formatCheckpoint(checkpoint)
  parseCheckpoint(text)
  return formatNote({ text, signatures: [signText(text, signer)] })
}

export function parseSignedCheckpoint(source: Source): SignedCheckpoint {
  const note = parseNote(source)
  return { ...parseCheckpoint(note.text), note }
}

export function formatSignedCheckpoint({ note }: SignedCheckpoint): string {
  return formatNote(note)
}

/** `time`: unix seconds. */
export interface Cosignature {
  witness: NoteKey
  time: number
}

/**
 * unknown-origin       none of the logs has the checkpoint's origin for its name
 * not-signed-by-log    no signature of that log's key
 * bad-signature        a line under the log's or a witness's key does not verify
 */
export type CheckpointProblem = 'unknown-origin' | 'not-signed-by-log' | 'bad-signature'

export type CheckpointVerdict =
  { ok: true; log: NoteKey; cosignatures: readonly Cosignature[] } | { ok: false; problem: CheckpointProblem }

/** Whether one of the `logs` signed it. A log is named by its origin. */
export function verifyCheckpoint(
  { origin, note }: SignedCheckpoint,
  logs: readonly NoteKey[],
  witnesses: readonly NoteKey[] = [],
): CheckpointVerdict {
  const named = logs.filter((log) => log.name === origin && log.type === 'ed25519')
  if (named.length === 0) return { ok: false, problem: 'unknown-origin' }
  const verdict = verifyNote(note, [...named, ...witnesses].map(verifierOf))
  if (!verdict.ok && verdict.problem === 'bad-signature') return { ok: false, problem: 'bad-signature' }
  const signatures = verdict.ok ? verdict.signatures : []
  const log = named.find((key) => signatures.some((signature) => signature.key === key))
  if (!log) return { ok: false, problem: 'not-signed-by-log' }
  const cosignatures = signatures.flatMap(({ key, signature }) => {
    const time = key.type === 'cosignature' ? cosignatureTime(signature) : undefined
    return time === undefined ? [] : [{ witness: key, time }]
  })
  return { ok: true, log, cosignatures }
}

function verifierOf(key: NoteKey): Verifier {
  switch (key.type) {
    case 'ed25519':
      return textVerifier(key)
    case 'cosignature':
      return cosignatureVerifier(key)
  }
}
