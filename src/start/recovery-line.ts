// agentkeys-broker import … and restore-backup …: their part of the command line.

import { parseArgs } from 'node:util'

export interface ImportLine {
  verb: 'import'
  /** What verify-ledger reads. */
  source: string
  tokenFile: string | undefined
  /** A file with a checkpoint that was signed for the source. */
  checkpoint: string | undefined
}

export interface RestoreBackupLine {
  verb: 'restore-backup'
  directory: string
  /** Although entries are missing in the backup. */
  yes: boolean
}

export type RecoveryLine = ImportLine | RestoreBackupLine

export const RECOVERY_USAGE = `agentkeys-broker restore-backup DIR [--yes]
       agentkeys-broker import SOURCE [--checkpoint FILE] [--token-file FILE]`

export class WrongRecoveryLine extends Error {}

export function isRecovery(command: string | undefined): boolean {
  return command === 'import' || command === 'restore-backup'
}

/** Throws WrongRecoveryLine, or parseArgs' own error. */
export function parseRecoveryLine(args: readonly string[]): RecoveryLine {
  const options = {
    'token-file': { type: 'string' },
    checkpoint: { type: 'string' },
    yes: { type: 'boolean', default: false },
  } as const
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const { 'token-file': tokenFile, checkpoint, yes } = values
  const [verb, operand, ...more] = positionals
  const wrong = () => new WrongRecoveryLine(`Usage: ${RECOVERY_USAGE}`)
  if (operand === undefined || more.length > 0) throw wrong()
  if (verb === 'import') {
    if (yes) throw wrong()
    return { verb, source: operand, tokenFile, checkpoint }
  }
  if (verb !== 'restore-backup' || tokenFile !== undefined || checkpoint !== undefined) throw wrong()
  return { verb, directory: operand, yes }
}
