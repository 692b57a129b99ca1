// All grants there were: those that have ended stay, so that it can be seen what was granted.

import type { Grant, GrantCreated } from '../domain/ledger/grants.js'
import type { Projection } from './projection.js'

/** Lists are JSON, flags 0 or 1. */
export interface GrantRow {
  grant_id: string
  wallet: string
  agent: string | null
  actions: string
  resources: string
  uses: number | null
  used: number
  expires_at: string
  granted_by: string
  from_grant: string | null
  revoked_at: string | null
  revoked_by: string | null
  revoke_reason: string | null
  created_at: string
  entry_index: number
}

export const grants: Projection = {
  schema: `
    CREATE TABLE grants (
      grant_id TEXT PRIMARY KEY,
      wallet TEXT NOT NULL,
      agent TEXT,
      actions TEXT NOT NULL,
      resources TEXT NOT NULL,
      uses INTEGER,
      used INTEGER NOT NULL,
      expires_at TEXT NOT NULL,
      granted_by TEXT NOT NULL,
      from_grant TEXT,
      revoked_at TEXT,
      revoked_by TEXT,
      revoke_reason TEXT,
      created_at TEXT NOT NULL,
      entry_index INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX grants_by_wallet ON grants (wallet);
    CREATE INDEX grants_by_grantor ON grants (granted_by);
  `,
  prepare(db) {
    const add = db.prepare(`
      INSERT INTO grants VALUES (@grantId, @wallet, @agent, @actions, @resources, @uses, 0, @expiresAt, @by, @from,
        NULL, NULL, NULL, @time, @index) ON CONFLICT DO NOTHING`)
    const revoke = db.prepare(`
      UPDATE grants SET revoked_at = @time, revoked_by = @by, revoke_reason = @reason
      WHERE grant_id = @grantId AND revoked_at IS NULL`)
    const use = db.prepare(`
      WITH RECURSIVE above (id) AS (
        SELECT @grantId UNION SELECT from_grant FROM grants JOIN above ON grant_id = above.id WHERE from_grant NOT NULL
      ) UPDATE grants SET used = used + 1 WHERE grant_id IN above`)
    return ({ type, data, index, time }) => {
      switch (type) {
        case 'GrantCreated':
          return void add.run({ agent: null, uses: null, from: null, ...listsAsText(data), index, time })
        case 'GrantRevoked':
          return void revoke.run({ reason: null, ...data, time })
        case 'GrantUsed':
          return void use.run({ grantId: data.grantId })
        default:
      }
    }
  },
}

function listsAsText({ actions, resources, ...data }: GrantCreated): object {
  return { ...data, actions: JSON.stringify(actions), resources: JSON.stringify(resources) }
}

/** As the appender, the decision and the verifier have it. */
export function grantOf(row: GrantRow): Grant {
  return {
    grantId: row.grant_id,
    wallet: row.wallet,
    ...(row.agent === null ? {} : { agent: row.agent }),
    actions: JSON.parse(row.actions) as Grant['actions'],
    resources: JSON.parse(row.resources) as string[],
    ...(row.uses === null ? {} : { uses: row.uses }),
    expiresAt: row.expires_at,
    by: row.granted_by,
    ...(row.from_grant === null ? {} : { from: row.from_grant }),
    used: row.used,
    revoked: row.revoked_at !== null,
  }
}
