// The text that a wallet signs to decide: built and never parsed, as sign-in-message.ts. docs/policy.md, "Approvals".

import { type ApprovalAsk } from './ledger/approval-events.js'
import { textOfAsk } from './ledger/approvals.js'

export type ApprovalVerb = 'approve' | 'deny'

/** The ask is JSON, so that nothing in a name of an agent can pass for a line of its own. */
export function approvalText(
  verb: ApprovalVerb,
  origin: string,
  approval: ApprovalAsk & { approvalId: string },
): string {
  return [
    `AgentKeys Broker: ${verb} this mint, once.`,
    '',
    `Ledger: ${origin}`,
    `Approval: ${approval.approvalId}`,
    `Ask: ${textOfAsk(approval)}`,
  ].join('\n')
}
