// The ledger as a short table: one entry a line.

import type { Entry } from './auditor.js'

export function ledgerTable(entries: readonly Entry[]): string[] {
  const rows = entries.map((entry) => [
    String(entry.index),
    entry.time.slice(11, 23),
    entry.type,
    short(entry.data['wallet']),
    what(entry),
  ])
  const all = [['#', 'time (UTC)', 'type', 'wallet', 'what'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

function short(wallet: unknown): string {
  return typeof wallet === 'string' ? `${wallet.slice(0, 8)}…${wallet.slice(-4)}` : ''
}

/** The member of an entry that tells most. Entries of a later broker are shown by their type alone. */
function what({ type, data }: Entry): string {
  const member = (name: string) => String(data[name])
  switch (type) {
    case 'LedgerOpened':
      return member('origin')
    case 'BrokerStarted':
      return `version ${member('version')}`
    case 'SigningKeyPublished':
    case 'SigningKeyActivated':
      return member('kid')
    case 'SessionValidated':
      return `bearer's SHA-256 ${member('tokenSha256').slice(0, 12)}…`
    case 'JwtIssued':
      return `${data['purpose'] === 'sts' ? 'for STS' : 'for the caller'}, SHA-256 ${member('signingInputSha256').slice(0, 12)}…`
    case 'CredsMinted':
      return member('accessKeyId')
    case 'MintRefused':
      return member('reason')
    default:
      return ''
  }
}
