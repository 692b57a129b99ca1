import type { Config } from '../config.js'
import type { RecoveryLine } from '../start/recovery-line.js'
import type { Outcome } from './outcome.js'

/** Each is loaded alone: an import brings the sources that verify-ledger reads. */
export async function recover(line: RecoveryLine, config: Config): Promise<Outcome> {
  switch (line.verb) {
    case 'import':
      return (await import('./import-ledger.js')).importFrom(line, config)
    case 'restore-backup':
      return (await import('./restore-backup.js')).restoreBackup(line, config)
  }
}
