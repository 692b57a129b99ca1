// The end of the ledger as this broker knows it: what is chained next follows from here.

import { EntryError, type Sealed } from '../domain/ledger/entry.js'
import type { Stored } from '../event-store/event-store.js'
import { type KeyStates, keysAfter } from './key-states.js'
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
    private keyStates: KeyStates | undefined,
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
  get keys(): KeyStates | undefined {
    return this.keyStates
  }

  /** Our own entries, chained onto this head, are durable. */
  advance(entries: readonly Sealed[]): void {
    this.durable = entries.at(-1) ?? this.durable
    this.keyStates = keysAfter(this.keyStates, entries)
    this.committed(entries)
  }

  /** Takes over what others wrote. Throws LedgerChanged where it does not follow from here. */
  follow(stored: readonly Stored[]): void {
    this.advance(this.linkedHere(stored))
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
