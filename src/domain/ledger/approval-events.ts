// What the ledger records of approvals: one was requested for a mint, it was granted or denied, and a mint used it.
// docs/ledger-format.md, "The events".

import type { ParentSession } from './child-session.js'
import type { MintKind } from './mint-kind.js'

/** What exactly is approved: a mint that differs in any of it is another ask. */
export interface ApprovalAsk {
  readonly kind: MintKind
  readonly wallet: string
  readonly agent?: string
  readonly audience: string
  readonly roleArn?: string
  /** Of the token, or of the AWS session. */
  readonly lifetimeSeconds: number
}

export interface ApprovalEventData {
  /** Right after the refusal of the mint `mintId`. Undecided, it ends at `expiresAt`. */
  ApprovalRequested: {
    approvalId: string
    mintId: string
    tokenSha256: string
    parents: ParentSession[]
    askSha256: string
    expiresAt: string
  } & { -readonly [M in keyof ApprovalAsk]: ApprovalAsk[M] }
  /** Good for one mint before `expiresAt`. `signature`: EIP-191, where a wallet decided. */
  ApprovalGranted: {
    approvalId: string
    askSha256: string
    by: string
    expiresAt: string
    reason?: string
    signature?: string
  }
  ApprovalDenied: { approvalId: string; askSha256: string; by: string; reason?: string; signature?: string }
  /** In the append of the mint, so that no approval is used twice. */
  ApprovalUsed: { mintId: string; wallet: string; approvalId: string }
}
