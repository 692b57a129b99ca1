// The end of the ledger as this broker knows it: what is chained next follows from here.

import { LedgerError } from '../domain/ledger-error.js'
import { EntryError, type Sealed } from '../domain/ledger/entry.js'
import { type CutOffs, cutOffsAfter } from '../domain/ledger/cut-offs.js'
import type { Approvals } from '../domain/ledger/approvals.js'
import type { Grants } from '../domain/ledger/grants.js'
import { isFromFuture } from '../domain/plausible-time.js'
import type { Stored } from '../event-store/event-store.js'
import { type LedgerSignatures, signedLength } from '../domain/ledger/ledger-signature.js'
import { keysAfter, type SigningKeys } from '../domain/ledger/signing-keys.js'
import { linked } from './open-ledger.js'

/** What happens after entries became durable, ours or another broker's, and before their callers hear of it. */
export type Committed = (entries: readonly Sealed[]) => void

/** The ledger is no longer the one this broker knows. An operator must look. */
export class LedgerChanged extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LedgerChanged'
  }
}

export interface HeadParts {
  keys: SigningKeys | undefined
  cutOffs: CutOffs
  grants: Grants
  approvals: Approvals
  signatures: LedgerSignatures
  committed: Committed
  /** The system's time. Throws LedgerError while that is implausible. */
  now: () => Date
  /** Hears once of each entry that is not taken over because its time is yet to come. */
  onFromFuture: (problem: string) => void
}

export class LedgerHead {
  private signingKeys: SigningKeys | undefined
  private cutOff: CutOffs
  /** As of the last durable entry. */
  readonly grants: Grants
  readonly approvals: Approvals
  private readonly signatures: LedgerSignatures
  private readonly committed: Committed
  private readonly now: () => Date
  private readonly onFromFuture: (problem: string) => void
  /** The entry after this head, where it was not taken over because its time is yet to come. */
  private refused: Sealed | undefined

  constructor(
    private durable: Sealed | undefined,
    { keys, cutOffs, grants, approvals, signatures, committed, now, onFromFuture }: HeadParts,
  ) {
    this.signingKeys = keys
    this.cutOff = cutOffs
    this.grants = grants
    this.approvals = approvals
    this.signatures = signatures
    this.committed = committed
    this.now = now
    this.onFromFuture = onFromFuture
  }

  /** The last durable entry. */
  get last(): Sealed | undefined {
    return this.durable
  }

  /** How many entries are known to be durable. */
  get size(): number {
    return this.durable ? this.durable.entry.index + 1 : 0
  }

  /** The issuer's keys at this point, where they are known. */
  get keys(): SigningKeys | undefined {
    return this.signingKeys
  }

  /** Whom the operator has cut off at this point. */
  get cutOffs(): CutOffs {
    return this.cutOff
  }

  /** Our own entries, chained onto this head, are durable. */
  advance(entries: readonly Sealed[]): void {
    if (entries.length === 0) return
    this.refused = undefined
    this.durable = entries.at(-1)
    this.signingKeys &&= keysAfter(this.signingKeys, entries)
    this.cutOff = cutOffsAfter(this.cutOff, entries)
    for (const { entry } of entries) {
      this.grants.take(entry)
      this.approvals.take(entry)
    }
    this.committed(entries)
  }

  /**
   * Takes over what others wrote, up to the last entry that a holder of the ledger key has signed: how many that are.
   * `tried`: the signatures of so many were found to be none before. Throws LedgerChanged where they do not follow from
   * here, and LedgerError at a signed entry from the future, since no later entry could have an earlier time; what is
   * before that entry is taken over.
   */
  follow(stored: readonly Stored[], tried = 0): number {
    const now = this.now()
    const entries = this.linkedHere(stored)
    const untried = stored
      .slice(tried)
      .map(({ index, signature }, i) => ({ index, signature, leafHash: entries[tried + i]?.leafHash ?? '' }))
    const signed = signedLength(untried, this.signatures)
    if (signed === 0) return 0
    const ours = entries.slice(0, tried + signed)
    const future = ours.findIndex(({ entry }) => isFromFuture(entry.time, now))
    this.advance(future < 0 ? ours : ours.slice(0, future))
    if (future >= 0) this.refuse(ours[future], now)
    return ours.length
  }

  private refuse(entry: Sealed | undefined, now: Date): never {
    const isNew = this.refused?.leafHash !== entry?.leafHash
    this.refused = entry
    const problem = this.fromFuture(now) ?? ''
    if (isNew) this.onFromFuture(problem)
    throw new LedgerError('unavailable', problem)
  }

  /** What is wrong with the entry after this head, for as long as its time is yet to come. */
  fromFuture(now: Date): string | undefined {
    if (!this.refused || !isFromFuture(this.refused.entry.time, now)) return undefined
    const { index, time } = this.refused.entry
    return (
      `entry ${index} of the ledger has the time ${time}, and it is ${now.toISOString()} here: nothing is appended ` +
      "after it. Correct this broker's clock; or, if it is right, run verify-ledger and find out who wrote that entry"
    )
  }

  private linkedHere(stored: readonly Stored[]): Sealed[] {
    try {
      return linked(this.durable, stored)
    } catch (error) {
      if (!(error instanceof EntryError)) throw error
      throw new LedgerChanged(`an entry in the ledger is damaged: ${error.message}`, { cause: error })
    }
  }
}
