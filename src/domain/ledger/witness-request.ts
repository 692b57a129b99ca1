// C2SP tlog-witness: what a log sends to add-checkpoint, and the size it gets back when the witness is at another.
// A success is answered with signature lines: parseSignatures in note.ts.

import { formatSignedCheckpoint, parseSignedCheckpoint, type SignedCheckpoint } from './checkpoint.js'
import { NOTE_LIMITS } from './note.js'
import { parseHashes } from './proof.js'
import { encodeBase64, FormatError, parseDecimal, readText, type Source } from './encoding.js'

export interface WitnessRequest {
  /** What the witness cosigned last, 0 if nothing. No larger than the checkpoint. */
  oldSize: number
  /** Consistency from oldSize; empty when oldSize is 0 or the checkpoint's size. That is for the witness to judge. */
  proof: readonly Uint8Array[]
  checkpoint: SignedCheckpoint
}

const OLD = 'old '
const LIMITS = { what: 'add-checkpoint request', maxBytes: 4096 + NOTE_LIMITS.maxBytes }

export function formatWitnessRequest({ oldSize, proof, checkpoint }: WitnessRequest): string {
  const lines = [OLD + oldSize, ...proof.map(encodeBase64)]
  return `${lines.join('\n')}\n\n${formatSignedCheckpoint(checkpoint)}`
}

/** Throws FormatError for what a witness answers with 400. */
export function parseWitnessRequest(source: Source): WitnessRequest {
  const text = readText(source, LIMITS)
  const end = text.indexOf('\n\n')
  if (end === -1)
    throw new FormatError('truncated', 'add-checkpoint: a blank line and a checkpoint must follow')
  const [old, ...hashes] = text.slice(0, end).split('\n')
  if (!old?.startsWith(OLD)) throw new FormatError('bad-line', 'add-checkpoint: "old <decimal>" is expected')
  const request = {
    oldSize: parseDecimal(old.slice(OLD.length), 'add-checkpoint old size'),
    proof: parseHashes(hashes, 'add-checkpoint hash'),
    checkpoint: parseSignedCheckpoint(text.slice(end + 2)),
  }
  if (request.oldSize > request.checkpoint.size) {
    throw new FormatError('bad-number', 'add-checkpoint: the old size is larger than the checkpoint')
  }
  return request
}

/** The media type of a 409 that says which size the witness is at. */
export const SIZE_MEDIA_TYPE = 'text/x.tlog.size'

export function formatSizeReply(size: number): string {
  return `${size}\n`
}

export function parseSizeReply(source: Source): number {
  const text = readText(source, { what: 'tlog size', maxBytes: 64 })
  if (!text.endsWith('\n')) throw new FormatError('truncated', 'tlog size: a decimal and LF are expected')
  return parseDecimal(text.slice(0, -1), 'tlog size')
}
