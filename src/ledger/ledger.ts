import type { Sealed } from '../domain/ledger/entry.js'
import type { LedgerEvent } from '../domain/ledger/events.js'
import type { Appender, AppenderStatus } from './appender.js'
import { MintIds } from './mint-ids.js'

/** Where an entry stands, as a caller is told: enough to ask for its proof. */
export interface LedgerReference {
  origin: string
  index: number
  leaf_hash: string
}

/** The ledger as the rest of the broker knows it: append, and only then act. */
export class Ledger {
  private readonly ids: MintIds

  constructor(
    readonly origin: string,
    private readonly appender: Appender,
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

  reference({ entry, leafHash }: Sealed): LedgerReference {
    return { origin: this.origin, index: entry.index, leaf_hash: leafHash }
  }

  close(): Promise<void> {
    return this.appender.close()
  }
}
