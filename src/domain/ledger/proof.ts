// C2SP tlog-proof, a receipt: an entry's place in the tree, and the checkpoint of that tree. The entry is not in it.

import {
  type CheckpointProblem,
  type Cosignature,
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
  verifyCheckpoint,
} from './checkpoint.js'
import { hashLeaf, verifyInclusion } from './merkle.js'
import { formatVkey, NOTE_LIMITS, type NoteKey } from './note.js'
import { type Policy, quorumMet } from './policy.js'
import {
  decodeBase64,
  decodeHash,
  encodeBase64,
  FormatError,
  parseDecimal,
  readText,
  type Source,
} from './encoding.js'

export interface TlogProof {
  /** This is not signed, so nothing in it may be trusted. */
  extra?: Uint8Array
  index: number
  /** From the leaf's sibling up. */
  path: readonly Uint8Array[]
  checkpoint: SignedCheckpoint
}

const HEADER = 'c2sp.org/tlog-proof@v1'
const EXTRA = 'extra '
const INDEX = 'index '
const LIMITS = { what: 'tlog-proof', maxBytes: 64 * 1024 + NOTE_LIMITS.maxBytes }

/** No tree is higher than its size has bits. */
const MAX_PROOF_HASHES = 63

export function formatProof({ extra, index, path, checkpoint }: TlogProof): string {
  return formatProofAround({
    ...(extra && { extra: encodeBase64(extra) }),
    index,
    pathLines: path.map((hash) => `${encodeBase64(hash)}\n`).join(''),
    checkpointText: formatSignedCheckpoint(checkpoint),
  })
}

/** A proof whose parts are written down already: base64, the path's lines each with its LF, the signed checkpoint. */
export function formatProofAround(parts: {
  extra?: string
  index: number
  pathLines: string
  checkpointText: string
}): string {
  const { extra, index, pathLines, checkpointText } = parts
  const extraLine = extra === undefined ? '' : `${EXTRA}${extra}\n`
  return `${HEADER}\n${extraLine}${INDEX}${index}\n${pathLines}\n${checkpointText}`
}

/** Throws FormatError. What it returns is not verified. */
export function parseProof(source: Source): TlogProof {
  const text = readText(source, LIMITS)
  const end = text.indexOf('\n\n')
  if (end === -1)
    throw new FormatError('truncated', 'tlog-proof: a blank line and a checkpoint must follow the hashes')
  const lines = text.slice(0, end).split('\n')
  if (lines.shift() !== HEADER)
    throw new FormatError('bad-line', `tlog-proof: the first line must be ${HEADER}`)
  const extra = lines[0]?.startsWith(EXTRA) ? parseExtra(lines.shift() as string) : {}
  const index = lines.shift()
  if (!index?.startsWith(INDEX))
    throw new FormatError('bad-line', 'tlog-proof: "index <decimal>" is expected')
  return {
    ...extra,
    index: parseDecimal(index.slice(INDEX.length), 'tlog-proof index'),
    path: parseHashes(lines, 'tlog-proof hash'),
    checkpoint: parseSignedCheckpoint(text.slice(end + 2)),
  }
}

function parseExtra(line: string): { extra: Uint8Array } {
  const extra = decodeBase64(line.slice(EXTRA.length), 'tlog-proof extra')
  if (extra.length === 0)
    throw new FormatError('bad-line', 'tlog-proof: without extra data there is no extra line')
  return { extra }
}

/** The lines of a Merkle proof, here and in a witness request. */
export function parseHashes(lines: readonly string[], what: string): Uint8Array[] {
  if (lines.length > MAX_PROOF_HASHES)
    throw new FormatError('too-large', `${what}: more than ${MAX_PROOF_HASHES}`)
  return lines.map((line) => decodeHash(line, what))
}

/** quorum-missing: too few of the policy's witnesses cosigned. not-included: the path does not lead to the root. */
export type ProofProblem = CheckpointProblem | 'quorum-missing' | 'not-included'

export type ProofVerdict =
  { ok: true; log: NoteKey; cosignatures: readonly Cosignature[] } | { ok: false; problem: ProofProblem }

/** Whether `entry`, the bytes as they were logged, is in a log that `policy` believes, at the place the proof says. */
export function verifyProof(entry: Uint8Array, proof: TlogProof, policy: Policy): ProofVerdict {
  const leaf = hashLeaf(entry)
  const { checkpoint } = proof
  const logs = policy.logs.map(({ key }) => key)
  const witnesses = policy.witnesses.map(({ key }) => key)
  const signed = verifyCheckpoint(checkpoint, logs, witnesses)
  if (!signed.ok) return signed
  const cosigned = new Set(signed.cosignatures.map(({ witness }) => formatVkey(witness)))
  if (!quorumMet(policy, cosigned)) return { ok: false, problem: 'quorum-missing' }
  if (!verifyInclusion(leaf, proof.index, checkpoint, proof.path))
    return { ok: false, problem: 'not-included' }
  return signed
}
