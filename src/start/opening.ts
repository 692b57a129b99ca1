// What every step of opening the ledger is given.

import type { Logger } from 'pino'

import type { Config } from '../config.js'
import type { LedgerStoreConfig } from '../config/ledger.js'
import type { EventStore } from '../event-store/event-store.js'
import type { TimeSource } from '../ledger/checked-clock.js'
import type { SequencerLimits } from '../ledger/sequencer.js'
import type { DataDir } from '../storage/data-dir.js'

/** Who opens the store: its node id, and whether `--insecure-ledger` was given. */
export interface Opener {
  node: string
  insecure: boolean
  warn?: (warning: string) => void
  /** Hears why this broker may not read the ledger, although it may append; undefined: it may again. */
  onSight?: (problem: string | undefined) => void
}

/** What a test may put in place of the real thing: a store that fails on order, limits that it need not wait for. */
export interface Dependencies {
  openStore: (store: LedgerStoreConfig, as: Opener) => EventStore | Promise<EventStore>
  limits: SequencerLimits
  time: TimeSource
}

export interface Opening {
  config: Config
  dataDir: DataDir
  log: Logger
  dependencies: Dependencies
  /** Takes down what a step has opened; the last one opened goes first, also when a later step fails. */
  onClose: (step: () => unknown) => void
}
