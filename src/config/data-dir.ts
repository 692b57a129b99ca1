// The files of BROKER_DATA_DIR that have no setting of their own.

import { join } from 'node:path'

/** The embedded session backend's accounts and sessions. */
export const sessionsPath = (dataDir: string): string => join(dataDir, 'sessions.sqlite')

/** The last checkpoint this broker signed, apart from the ledger: what a roll-back is noticed by. */
export const lastCheckpointPath = (dataDir: string): string => join(dataDir, 'last-checkpoint')

/** The last checkpoint that had its quorum, for those who show the ledger when the broker does not run. */
export const witnessedCheckpointPath = (dataDir: string): string => join(dataDir, 'last-witnessed-checkpoint')

/** Where a witness's contradiction is kept until an operator has resolved it. */
export const witnessAlarmPath = (dataDir: string): string => join(dataDir, 'witness-alarm.json')
