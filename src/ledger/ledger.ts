import type { SignedCheckpoint } from '../domain/ledger/checkpoint.js'
import type { Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import type { Appender, AppenderStatus } from './appender.js'
import type { LogTree } from './log-tree.js'
import { MintIds } from './mint-ids.js'

/** Where an entry stands, as a caller is told, and the proof of it. */
export interface LedgerReference {
  origin: string
  index: number
  leaf_hash: string
  /** A C2SP tlog-proof. */
  receipt: string
}

/** The ledger as the rest of the broker knows it: append, and only then act. */
export class Ledger {
  private readonly ids: MintIds

  constructor(
    readonly origin: string,
    readonly vkey: string,
    private readonly appender: Appender,
    private readonly tree: LogTree,
  ) {
    this.ids = new MintIds(() => appender.clock())
  }

  /** Resolves once the entries are durable, in order and together. Rejects with LedgerError: then nothing may be done. */
  append(events: readonly LedgerEvent[]): Promise<Sealed[]> {
    return this.appender.append(events)
  }

  /** The id of a new mint, which is also its JWT's jti. */
  newMintId(): string {
    return this.ids.next()
  }

  get size(): number {
    return this.appender.size
  }

  status(): AppenderStatus {
    return this.appender.status()
  }

  /** Of an entry that was just appended. */
  reference(sealed: Sealed): LedgerReference {
    const { entry, leafHash } = sealed
    return {
      origin: this.origin,
      index: entry.index,
      leaf_hash: leafHash,
      receipt: this.tree.receipt(sealed),
    }
  }

  /** The newest signed head of at most `size` entries. */
  checkpointUpTo(size: number): SignedCheckpoint {
    return this.tree.checkpointUpTo(size)
  }

  close(): Promise<void> {
    return this.appender.close()
  }
}
