// The entries of a copy, by the verifier's own code, held against checkpoints that were signed for them.

import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { sameBytes } from '../domain/ledger/encoding.js'
import { leafHash } from '../domain/ledger/entry.js'
import { Tree } from '../domain/ledger/merkle.js'
import { type Verdict, verifyLedger } from '../domain/ledger/verify.js'
import { LedgerRefused } from './open-ledger.js'

/**
 * All of `rows`, from entry 0 on, which `what` holds. The signatures of `checkpoints` are the caller's to verify. Throws
 * LedgerRefused for the first finding, and for entries that are not those of each checkpoint, or end before it.
 */
export function verifiedRows(
  rows: Iterable<string>,
  checkpoints: readonly SignedCheckpoint[],
  what: string,
): Verdict {
  const tree = new Tree()
  const roots = new Map<number, Uint8Array>()
  const grown = function* (): Iterable<string> {
    for (const text of rows) {
      yield text
      tree.append(Buffer.from(leafHash(text), 'hex'))
      if (checkpoints.some(({ size }) => size === tree.size)) roots.set(tree.size, tree.root())
    }
  }
  const verdict = verifyLedger(grown())
  if (!verdict.ok)
    throw new LedgerRefused(
      `${what} has ${verdict.findingCount} findings, the first at entry ${verdict.firstFinding?.index}: ` +
        `${verdict.firstFinding?.detail}; run verify-ledger on it, and keep it as evidence`,
    )
  for (const { size, root } of checkpoints) assertRoot(roots.get(size), { size, root }, verdict.size, what)
  return verdict
}

function assertRoot(
  found: Uint8Array | undefined,
  { size, root }: Pick<SignedCheckpoint, 'size' | 'root'>,
  entries: number,
  what: string,
): void {
  if (entries < size)
    throw new LedgerRefused(
      `${what} has ${entries} entries, and a checkpoint of ${size} was signed: it lacks the last ${size - entries}`,
    )
  if (size > 0 && !(found && sameBytes(found, root)))
    throw new LedgerRefused(`${what} is not what the checkpoint of ${size} entries was signed for`)
}
