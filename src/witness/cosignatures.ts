// The cosignatures that came in, by checkpoint, and which checkpoint has enough of them.

import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { formatVkey, type NoteSignature } from '../domain/ledger/note.js'
import { type Policy, quorumMet } from '../domain/ledger/policy.js'

/** A verified line, and the time in it in unix seconds. */
export interface TimedCosignature {
  cosignature: NoteSignature
  time: number
}

interface Collected {
  checkpoint: SignedCheckpoint
  /** By the witness's vkey. */
  lines: Map<string, TimedCosignature>
}

/** Checkpoints that no quorum was found for. A later one covers all that they cover. */
const RETAINED_COSIGNATURES = 16

export class Cosignatures {
  /** By the checkpoint's body, the very text that was signed: two trees of one size are never mixed. */
  private readonly collected = new Map<string, Collected>()
  private largest: Collected | undefined

  constructor(private readonly policy: Policy) {}

  /** Takes a line that was verified for this body. A newer one of the same witness takes the older one's place. */
  add(checkpoint: SignedCheckpoint, vkey: string, line: TimedCosignature): void {
    if (this.largest && checkpoint.size < this.largest.checkpoint.size) return
    const collected = this.collected.get(checkpoint.note.text) ?? this.open(checkpoint)
    const former = collected.lines.get(vkey)
    if (!former || former.time <= line.time) collected.lines.set(vkey, line)
    if (this.enough(checkpoint)) this.settle(collected)
  }

  enough({ note }: SignedCheckpoint): boolean {
    return quorumMet(this.policy, new Set(this.collected.get(note.text)?.lines.keys()))
  }

  /** The largest checkpoint with a quorum, with all cosignatures it has. */
  witnessed(): SignedCheckpoint | undefined {
    return this.largest && this.signed(this.largest.checkpoint)
  }

  /** `checkpoint` with the cosignatures it has, in the policy's order: none, some, or enough. */
  signed(checkpoint: SignedCheckpoint): SignedCheckpoint {
    const { note } = checkpoint
    const lines = this.collected.get(note.text)?.lines
    if (!lines) return checkpoint
    const cosignatures = this.policy.witnesses.flatMap(
      ({ key }) => lines.get(formatVkey(key))?.cosignature ?? [],
    )
    return { ...checkpoint, note: { ...note, signatures: [...note.signatures, ...cosignatures] } }
  }

  private open(checkpoint: SignedCheckpoint): Collected {
    const collected = { checkpoint, lines: new Map<string, TimedCosignature>() }
    this.collected.set(checkpoint.note.text, collected)
    // A Map keeps the order of insertion, so the first is the oldest.
    for (const [text, { checkpoint: kept }] of this.collected) {
      if (this.collected.size <= RETAINED_COSIGNATURES) break
      if (kept !== this.largest?.checkpoint) this.collected.delete(text)
    }
    return collected
  }

  private settle(collected: Collected): void {
    this.largest = collected
    for (const [text, { checkpoint }] of this.collected) {
      if (checkpoint.size < collected.checkpoint.size) this.collected.delete(text)
    }
  }
}
