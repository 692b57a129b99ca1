// All approvals that were ever asked for: those that have ended stay, so that it can be seen who decided what.

import type { ParentSession } from '../domain/ledger/child-session.js'
import { type Approval, type ApprovalRequested, textOfAsk } from '../domain/ledger/approvals.js'
import type { MintKind } from '../domain/ledger/events.js'
import type { Projection } from './projection.js'

/** `parents` is JSON. */
export interface ApprovalRow {
  approval_id: string
  mint_id: string
  wallet: string
  token_sha256: string
  parents: string
  agent: string | null
  kind: MintKind
  audience: string
  role_arn: string | null
  lifetime_seconds: number
  ask_sha256: string
  /** Of the request. */
  expires_at: string
  state: Approval['state']
  /** Of a granted one: until when it can be used. */
  state_until: string
  requested_at: string
  entry_index: number
  decided_by: string | null
  decided_at: string | null
  reason: string | null
  signature: string | null
  /** The mint that used it. */
  used_by: string | null
}

export const approvals: Projection = {
  schema: `
    CREATE TABLE approvals (
      approval_id TEXT PRIMARY KEY,
      mint_id TEXT NOT NULL,
      wallet TEXT NOT NULL,
      token_sha256 TEXT NOT NULL,
      parents TEXT NOT NULL,
      agent TEXT,
      kind TEXT NOT NULL,
      audience TEXT NOT NULL,
      role_arn TEXT,
      lifetime_seconds INTEGER NOT NULL,
      ask_sha256 TEXT NOT NULL,
      expires_at TEXT NOT NULL,
      state TEXT NOT NULL,
      state_until TEXT NOT NULL,
      requested_at TEXT NOT NULL,
      entry_index INTEGER NOT NULL,
      decided_by TEXT,
      decided_at TEXT,
      reason TEXT,
      signature TEXT,
      used_by TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX approvals_by_end ON approvals (state_until);
    CREATE INDEX approvals_by_entry ON approvals (entry_index);
  `,
  prepare(db) {
    const add = db.prepare(`
      INSERT INTO approvals VALUES (@approvalId, @mintId, @wallet, @tokenSha256, @parents, @agent, @kind, @audience,
        @roleArn, @lifetimeSeconds, @askSha256, @expiresAt, 'open', @expiresAt, @time, @index,
        NULL, NULL, NULL, NULL, NULL) ON CONFLICT DO NOTHING`)
    const decide = db.prepare(`
      UPDATE approvals SET state = @state, state_until = coalesce(@expiresAt, state_until), decided_by = @by,
        decided_at = @time, reason = @reason, signature = @signature
      WHERE approval_id = @approvalId AND state = 'open'`)
    const use = db.prepare(`
      UPDATE approvals SET state = 'used', used_by = @mintId WHERE approval_id = @approvalId AND state = 'granted'`)
    const decided = { reason: null, signature: null, expiresAt: null }
    return ({ type, data, index, time }) => {
      switch (type) {
        case 'ApprovalRequested':
          return void add.run({ agent: null, roleArn: null, ...withParents(data), index, time })
        case 'ApprovalGranted':
          return void decide.run({ ...decided, ...data, state: 'granted', time })
        case 'ApprovalDenied':
          return void decide.run({ ...decided, ...data, state: 'denied', time })
        case 'ApprovalUsed':
          return void use.run(data)
        default:
      }
    }
  },
}

function withParents({ parents, ...data }: ApprovalRequested): object {
  return { ...data, parents: JSON.stringify(parents) }
}

/** As the appender, the decision and the verifier have it. */
export function approvalOf(row: ApprovalRow): Approval {
  return {
    approvalId: row.approval_id,
    mintId: row.mint_id,
    wallet: row.wallet,
    tokenSha256: row.token_sha256,
    parents: JSON.parse(row.parents) as ParentSession[],
    ...(row.agent === null ? {} : { agent: row.agent }),
    kind: row.kind,
    audience: row.audience,
    ...(row.role_arn === null ? {} : { roleArn: row.role_arn }),
    lifetimeSeconds: row.lifetime_seconds,
    askSha256: row.ask_sha256,
    expiresAt: row.expires_at,
    state: row.state,
    until: row.state_until,
  }
}

/** What the row asks for, in one text. */
export function askTextOf(row: ApprovalRow): string {
  return textOfAsk(approvalOf(row))
}
