// What a witness answers to add-checkpoint: C2SP tlog-witness, in the order of its rules. Pure.

import { type SignedCheckpoint, verifyCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { type TreeHead, verifyConsistency } from '../../src/domain/ledger/merkle.js'
import type { NoteKey } from '../../src/domain/ledger/note.js'
import { FormatError, sameBytes } from '../../src/domain/ledger/encoding.js'
import {
  formatSizeReply,
  parseWitnessRequest,
  SIZE_MEDIA_TYPE,
  type WitnessRequest,
} from '../../src/domain/ledger/witness-request.js'

export interface Reply {
  status: number
  body?: string
  headers?: Record<string, string>
}

export type Judgement = { accepted: SignedCheckpoint } | { refused: Reply }

/** `latest` is what this witness cosigned last for an origin; size 0 and the empty root if nothing. */
export function judge(
  body: string | Uint8Array,
  logs: readonly NoteKey[],
  latest: (origin: string) => TreeHead,
): Judgement {
  const request = parsed(body)
  if (request instanceof FormatError) return refuse(400, request.message)
  const { oldSize, checkpoint } = request
  const known = logs.filter(({ name }) => name === checkpoint.origin)
  if (known.length === 0) return refuse(404, 'unknown origin')
  if (!verifyCheckpoint(checkpoint, known).ok) return refuse(403, 'no signature of a key this witness trusts')
  const head = latest(checkpoint.origin)
  if (oldSize !== head.size) {
    const headers = { 'content-type': SIZE_MEDIA_TYPE }
    return { refused: { status: 409, headers, body: formatSizeReply(head.size) } }
  }
  return follows(head, request)
    ? { accepted: checkpoint }
    : refuse(422, 'the tree does not follow from the one cosigned last')
}

function follows(head: TreeHead, { proof, checkpoint }: WitnessRequest): boolean {
  if (head.size === checkpoint.size) return proof.length === 0 && sameBytes(head.root, checkpoint.root)
  return verifyConsistency(head, checkpoint, proof)
}

function parsed(body: string | Uint8Array): WitnessRequest | FormatError {
  try {
    return parseWitnessRequest(body)
  } catch (error) {
    if (error instanceof FormatError) return error
    throw error
  }
}

function refuse(status: number, reason: string): Judgement {
  const headers = { 'content-type': 'text/plain; charset=utf-8' }
  return { refused: { status, headers, body: `${reason}\n` } }
}
