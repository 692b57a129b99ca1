// The end of the ledger as this broker knows it: what is chained next follows from here.

import { EntryError, type Sealed } from '../domain/ledger/entry.js'
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

export class LedgerHead {
  constructor(
    private durable: Sealed | undefined,
    private signingKeys: SigningKeys | undefined,
    private readonly signatures: LedgerSignatures,
    private readonly committed: Committed,
  ) {}

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

  /** Our own entries, chained onto this head, are durable. */
  advance(entries: readonly Sealed[]): void {
    this.durable = entries.at(-1) ?? this.durable
    this.signingKeys &&= keysAfter(this.signingKeys, entries)
    this.committed(entries)
  }

  /**
   * Takes over what others wrote, up to the last entry that a holder of the ledger key has signed: how many that are.
   * `tried`: the signatures of so many were found to be none before. Throws LedgerChanged where they do not follow from
   * here.
   */
  follow(stored: readonly Stored[], tried = 0): number {
    const entries = this.linkedHere(stored)
    const untried = stored
      .slice(tried)
      .map(({ index, signature }, i) => ({ index, signature, leafHash: entries[tried + i]?.leafHash ?? '' }))
    const signed = signedLength(untried, this.signatures)
    if (signed === 0) return 0
    this.advance(entries.slice(0, tried + signed))
    return tried + signed
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
