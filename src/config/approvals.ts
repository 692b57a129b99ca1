import { MOST_APPROVAL_SECONDS } from '../domain/ledger/approvals.js'
import { type Environment, listOf, wholeNumber } from './environment.js'

export interface ApprovalsConfig {
  /** How long a request waits for a decision, and an approval for its mint. */
  readonly seconds: number
  /** Wallets that may decide, beside the operator; in lower case. */
  readonly approvers: readonly string[]
}

export function readApprovals(env: Environment): ApprovalsConfig {
  const wallets = listOf(/^0x[0-9a-fA-F]{40}$/, 'wallets, 0x and 40 hex digits each')
  const approvers = env.read('BROKER_APPROVERS', wallets, [])
  return {
    seconds: env.read('BROKER_APPROVAL_SECONDS', wholeNumber(60, MOST_APPROVAL_SECONDS, 'seconds'), 3600),
    approvers: approvers.map((wallet) => wallet.toLowerCase()),
  }
}
