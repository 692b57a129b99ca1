// agentkeys-broker approvals: what waits for a decision, and the operator's decision of it, through the running broker.

import type { Config } from '../config.js'
import type { ApprovalsLine } from '../start/approvals-line.js'
import { askBroker } from './ask-broker.js'
import type { Outcome } from './outcome.js'

interface ListedApproval {
  approval_id: string
  state: string
  wallet: string
  agent: string | null
  kind: string
  audience: string
  role_arn: string | null
  lifetime_seconds: number
  expires_at: string
}

interface Decided {
  ledger: { index: number }
}

export function approvals(line: ApprovalsLine, config: Config): Promise<Outcome> {
  const name = `approvals ${line.verb}`
  switch (line.verb) {
    case 'list':
      return askBroker<{ approvals: ListedApproval[] }>(
        config,
        { name, path: `/v1/approvals?state=${line.all ? 'all' : 'open'}` },
        (answer) => (line.json ? JSON.stringify(answer, null, 2) : listed(answer.approvals)),
      )
    case 'approve':
    case 'deny': {
      const path = `/v1/approvals/${encodeURIComponent(line.id)}/${line.verb}`
      const body = line.reason === undefined ? {} : { reason: line.reason }
      const done = line.verb === 'approve' ? 'approved, for one mint' : 'denied'
      return askBroker<Decided>(
        config,
        { name, path, body },
        ({ ledger }) => `${line.id} is ${done}: entry ${ledger.index} of the ledger.`,
      )
    }
  }
}

/** A block for each: an operator reads all of what is asked for before deciding. */
function listed(all: readonly ListedApproval[]): string {
  if (all.length === 0) return 'No approval waits for a decision.'
  return all.map(block).join('\n\n')
}

function block(approval: ListedApproval): string {
  const { approval_id: id, state, wallet, agent, kind, audience, role_arn: role } = approval
  const rows: [string, string | null][] = [
    ['state', `${state}, until ${approval.expires_at}`],
    ['wallet', wallet],
    ['agent', agent],
    ['kind', kind],
    ['audience', audience],
    ['role', role],
    ['lifetime', `${approval.lifetime_seconds} s`],
  ]
  const shown = rows.flatMap(([label, value]) => (value === null ? [] : [`  ${label.padEnd(10)}${value}`]))
  return [id, ...shown].join('\n')
}
