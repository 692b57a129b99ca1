// What a witness's answer to add-checkpoint means: C2SP tlog-witness. Pure, and nothing in the answer is believed
// but what verifies.

import { cosignatureTime, cosignatureVerifier } from '../domain/ledger/cosignature.js'
import { type NoteKey, type NoteSignature, parseSignatures, verifyNote } from '../domain/ledger/note.js'
import { parseSizeReply, SIZE_MEDIA_TYPE, type WitnessRequest } from '../domain/ledger/witness-request.js'
import { FormatError } from '../domain/ledger/encoding.js'
import type { WitnessAnswer } from './witness-connection.js'

/**
 * Why there is no cosignature. Each is tried again later, and none says anything about the ledger.
 *
 * unreachable      no answer in time, or no connection
 * overloaded       429 or 5xx: it asks for patience
 * not-enrolled     404: it does not know this ledger's origin; its operator has to add it
 * key-not-trusted  403: it knows the origin under another key, or not at all
 * refused-request  400: a bug, in the broker or in the witness
 * bad-answer       an answer that the protocol does not have, or a cosignature that does not verify
 * claims-more      409 with a size that the ledger does not have. A number without a signature stops nothing: it is a
 *                  reason to look, and no cosignature
 * own-log          the broker could not make the request: its own log did not give a proof or its newest checkpoint
 */
export type WitnessProblem =
  | 'unreachable'
  | 'overloaded'
  | 'not-enrolled'
  | 'key-not-trusted'
  | 'refused-request'
  | 'bad-answer'
  | 'claims-more'
  | 'own-log'

/**
 * What a witness says that can only be if the ledger is not the one it was.
 *
 * witness-ahead  it shows a larger tree under this ledger's own signature: rolled back, or goes on elsewhere
 * root-mismatch  it knows another root for the very size
 * fork           the tree does not begin with the one it cosigned before
 */
export type Contradiction = 'witness-ahead' | 'root-mismatch' | 'fork'

export interface Trouble {
  kind: 'problem'
  problem: WitnessProblem
  /** For people. Nothing of what the witness sent is in it. */
  detail: string
  /** What it asked for; 0 if nothing. */
  retryAfterMs: number
}

export type Reading =
  | { kind: 'cosigned'; cosignature: NoteSignature; time: number }
  | { kind: 'at-size'; size: number }
  | { kind: 'contradiction'; contradiction: Exclude<Contradiction, 'witness-ahead'> }
  | Trouble

export function readAnswer(answer: WitnessAnswer, request: WitnessRequest, key: NoteKey): Reading {
  const { status, mediaType, body } = answer
  if (status === 200) return orBadAnswer(() => readCosignature(body, request, key))
  if (status === 409 && mediaType === SIZE_MEDIA_TYPE) return orBadAnswer(() => readSize(body, request))
  if (status === 409 || status === 422) return readConflict(answer, request)
  if (status === 429 || status >= 500)
    return { ...trouble('overloaded', `it answered ${status}`), retryAfterMs: retryAfterMs(answer) }
  if (status === 400) return trouble('refused-request', 'it answered 400: it cannot read our request')
  if (status === 403)
    return trouble(
      'key-not-trusted',
      'it answered 403: it trusts another key for this origin, or does not know it',
    )
  if (status === 404) return trouble('not-enrolled', 'it answered 404: it does not know this origin')
  return trouble('bad-answer', `it answered ${status}, which the protocol does not have`)
}

export function trouble(problem: WitnessProblem, detail: string): Trouble {
  return { kind: 'problem', problem, detail, retryAfterMs: 0 }
}

function readCosignature(body: Uint8Array, { checkpoint }: WitnessRequest, key: NoteKey): Reading {
  const { text } = checkpoint.note
  const verdict = verifyNote({ text, signatures: parseSignatures(body) }, [cosignatureVerifier(key)])
  const signature = verdict.ok ? verdict.signatures[0]?.signature : undefined
  const time = signature && cosignatureTime(signature)
  if (signature === undefined || time === undefined) {
    const bad = !verdict.ok && verdict.problem === 'bad-signature'
    return trouble(
      'bad-answer',
      bad ? 'its cosignature does not verify' : 'no line of its answer is of its key',
    )
  }
  return { kind: 'cosigned', cosignature: { name: key.name, id: key.id, signature }, time }
}

function readSize(body: Uint8Array, { oldSize, checkpoint }: WitnessRequest): Reading {
  const size = parseSizeReply(body)
  if (size !== oldSize) return { kind: 'at-size', size }
  // It is where we said it is, and still in conflict: only the root is left to differ.
  if (size === checkpoint.size) return { kind: 'contradiction', contradiction: 'root-mismatch' }
  return trouble('bad-answer', 'it answered 409 with the very size it was asked from ')
}

/**
 * 422 says that the tree does not follow from the one it cosigned. 409 without a size is how the specification, in its
 * earlier form, had another root at the same size reported. Anything else under these codes is from a proxy, or a bug.
 */
function readConflict(answer: WitnessAnswer, { oldSize, checkpoint }: WitnessRequest): Reading {
  const { status } = answer
  if (!isPlainText(answer))
    return trouble('bad-answer', `it answered ${status} with a page that is no witness's`)
  if (oldSize === checkpoint.size && oldSize > 0)
    return { kind: 'contradiction', contradiction: 'root-mismatch' }
  if (status === 409) return trouble('bad-answer', 'it answered 409 and no size')
  // From nothing there is nothing to prove, so nothing can have failed.
  if (oldSize === 0) return trouble('bad-answer', 'it answered 422 to a request without a proof')
  return { kind: 'contradiction', contradiction: 'fork' }
}

/** The protocol gives these answers no body, and witnesses put a line of text there: never a page or a document. */
function isPlainText({ mediaType, body }: WitnessAnswer): boolean {
  return (
    (mediaType === '' || mediaType === 'text/plain') &&
    !/^\s*[<{[]/.test(Buffer.from(body).toString('latin1'))
  )
}

function orBadAnswer(read: () => Reading): Reading {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return trouble('bad-answer', `its answer cannot be read: ${error.message}`)
  }
}

/** In seconds only: the other form, a date, depends on two clocks. */
function retryAfterMs({ retryAfter }: WitnessAnswer): number {
  return /^[0-9]{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0
}
