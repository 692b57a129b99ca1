// A witness contradicts the ledger: the evidence is on disk before it is reported.

import { existsSync } from 'node:fs'

import { writeFileAtomically } from '../storage/atomic-file.js'
import type { Evidence } from './witness.js'
import type { Contradiction } from './witness-answer.js'

/** unresolved: an earlier run left its evidence, and the file has not been moved away since. */
export interface WitnessAlarm {
  kind: Contradiction | 'unresolved'
  /** One line for people: what is wrong, where the evidence is, what to do. */
  reason: string
}

/**
 * Where an alarm is kept. It is one file, and as long as it is there the alarm stands: a restart, while the witness
 * that knows better is out of reach, must not clear it. The first evidence is never written over.
 */
export class AlarmFile {
  constructor(readonly path: string) {}

  unresolved(): WitnessAlarm | undefined {
    if (!existsSync(this.path)) return undefined
    return {
      kind: 'unresolved',
      reason: `a witness contradicted the ledger in an earlier run; ${this.advice()}`,
    }
  }

  /** Saves the evidence, durable when this returns. A disk that is full must not keep the alarm from being raised. */
  save(evidence: Evidence, now: Date): WitnessAlarm {
    const kind = evidence.contradiction
    const said = `witness ${evidence.witness.name} ${SAID[kind]}`
    try {
      if (!existsSync(this.path)) writeFileAtomically(this.path, formatEvidence(evidence, now), 0o600)
      return { kind, reason: `${said}; ${this.advice()}` }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const unsaved = `the evidence could not be saved at ${this.path} (${code ?? message})`
      return { kind, reason: `${said}; ${unsaved}: make that file writable, run verify-ledger, then restart` }
    }
  }

  private advice(): string {
    return `see ${this.path}, run verify-ledger, restore the ledger, then move that file away`
  }
}

const SAID = {
  'witness-ahead':
    "shows a larger tree under this ledger's signature: the ledger was rolled back, or goes on elsewhere",
  'root-mismatch': 'has cosigned another tree of the same size: the ledger was forked',
  fork: 'has cosigned a tree that the ledger does not begin with: it was forked',
} satisfies Record<Contradiction, string>

/** All of it is public: checkpoints, hashes, signatures. The answer's bytes are another's, so they are kept as they came. */
function formatEvidence(
  { contradiction, witness, checkpoint, request, answer, shown }: Evidence,
  now: Date,
): string {
  const { status, mediaType, body } = answer
  const bytes = Buffer.from(body)
  const said = { status, mediaType, body: bytes.toString('utf8'), bodyBase64: bytes.toString('base64') }
  const evidence = {
    kind: contradiction,
    time: now.toISOString(),
    witness,
    checkpoint,
    request,
    answer: said,
    ...(shown === undefined ? {} : { shown }),
  }
  return `${JSON.stringify(evidence, null, 2)}\n`
}
