// The last checkpoint that was signed, kept apart from the ledger: a ledger that is put back to an older state, or
// replaced, contradicts it, and is refused before anything new is signed.

import { readFileSync } from 'node:fs'

import {
  formatSignedCheckpoint,
  parseSignedCheckpoint,
  type SignedCheckpoint,
  verifyCheckpoint,
} from '../domain/ledger/checkpoint.js'
import { type HashReader, Tree } from '../domain/ledger/merkle.js'
import type { NoteKey } from '../domain/ledger/note.js'
import { FormatError, sameBytes } from '../domain/ledger/encoding.js'
import { accessRemedy } from '../storage/access-remedy.js'
import { replaceFile } from '../storage/atomic-file.js'
import { LedgerRefused } from './open-ledger.js'

/** A checkpoint may be this old before a newer one is on disk. Under load each write stands for many checkpoints. */
const EVERY_MS = 100

export class RollbackGuard {
  private next: SignedCheckpoint | undefined
  private writing: Promise<void> | undefined
  private failing = false
  private closed = false

  constructor(
    readonly path: string,
    private readonly onTrouble: (error: Error) => void,
  ) {}

  /** Refuses a ledger of `size` entries that does not begin as the last signed checkpoint says. Throws LedgerRefused. */
  verify(size: number, key: NoteKey, read: HashReader): void {
    const last = this.last()
    if (!last) return
    if (!verifyCheckpoint(last, [key]).ok) {
      throw this.refused(
        'is not signed by this ledger’s key: put the right file back, or move it away if you know why',
      )
    }
    if (last.size > size) {
      throw this.refused(
        `says the ledger had ${last.size} entries, and it has ${size}: an older copy was put back. Restore the newest ` +
          'copy and verify it; entries that are lost are credentials that no record accounts for',
      )
    }
    if (!sameBytes(Tree.at(last.size, read).root(), last.root)) {
      throw this.refused(
        `says the first ${last.size} entries were other ones: the ledger was replaced or rewritten. Keep both as ` +
          'evidence, and restore the copy that verifies against this checkpoint',
      )
    }
  }

  /** Never waits: the newest checkpoint is written when the write before it is done. */
  record(checkpoint: SignedCheckpoint): void {
    this.next = checkpoint
    this.writing ??= this.write()
  }

  /** Everything remembered is on disk when this resolves, or onTrouble has been called. */
  async close(): Promise<void> {
    this.closed = true
    await this.writing
  }

  /** What was signed last, as far as this file knows. Throws LedgerRefused for a file that is no checkpoint. */
  last(): SignedCheckpoint | undefined {
    try {
      return parseSignedCheckpoint(readFileSync(this.path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      if (error instanceof FormatError) throw this.refused(`is no checkpoint (${error.message}): restore it`)
      throw error
    }
  }

  private async write(): Promise<void> {
    while (this.next) {
      const checkpoint = this.next
      this.next = undefined
      try {
        await replaceFile(this.path, formatSignedCheckpoint(checkpoint), 0o600)
        this.failing = false
      } catch (error) {
        if (!this.failing) this.onTrouble(unwritten(this.path, error as NodeJS.ErrnoException))
        this.failing = true
        // A new file each time: its pages are written again, so that its sync means something.
        if (!this.closed) this.next ??= checkpoint
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    }
    this.writing = undefined
  }

  private refused(problem: string): LedgerRefused {
    return new LedgerRefused(`the last signed checkpoint, ${this.path}, ${problem}`)
  }
}

/** Whatever it is, the writing goes on, and the next success settles it. */
function unwritten(path: string, cause: NodeJS.ErrnoException): Error {
  const remedy = accessRemedy(path, cause.code) ?? 'see that its disk works'
  return new Error(`${path} cannot be written (${cause.code}): ${remedy}`, { cause })
}
