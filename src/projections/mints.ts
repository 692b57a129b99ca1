// What became of every mint: one row each, from the first entry that names it to the last.

import type Sqlite from 'better-sqlite3'

import type { EventData, EventType, MintKind } from '../domain/ledger/events.js'
import type { Projection } from './projection.js'

/**
 * ok         for a JWT: announced, and then signed. For AWS credentials: STS gave them.
 * refused    a valid session asked for what it may not have.
 * sts_error  STS was asked and gave none.
 * pending    announced, and no outcome yet: under way, or the broker ended before it could record one.
 */
export type MintOutcome = 'ok' | 'refused' | 'sts_error' | 'pending'

/** A row, and as it is what GET /v1/audit/mints gives. Times are RFC 3339 UTC, except iat and exp: unix seconds. */
export interface MintRow {
  /** Entry indexes. The first is the row's key: it never changes, and it grows with time. */
  first_index: number
  last_index: number
  /** The JWT's jti. */
  mint_id: string
  kind: MintKind | null
  wallet: string
  token_sha256: string | null
  backend: string | null
  agent: string | null
  outcome: MintOutcome
  /** Why not: the refusal's reason or the failure's code, and a sentence for people. */
  reason: string | null
  detail: string | null
  role_arn: string | null
  aud: string | null
  kid: string | null
  sub: string | null
  iat: number | null
  exp: number | null
  signing_input_sha256: string | null
  role_session_name: string | null
  access_key_id: string | null
  assumed_role_arn: string | null
  expires_at: string | null
  duration_seconds: number | null
  first_seen_at: string
  last_changed_at: string
  /** The entries to ask a proof of: JwtIssued's and CredsMinted's. */
  jwt_issued_index: number | null
  creds_minted_index: number | null
}

// The indexes let audit-query.ts answer every combination of filters by walking one of them from its newest end;
// SQLite ends each with first_index, the row's key.
const TABLE = `
  CREATE TABLE mints (
    first_index INTEGER PRIMARY KEY,
    last_index INTEGER NOT NULL,
    mint_id TEXT NOT NULL UNIQUE,
    kind TEXT,
    wallet TEXT NOT NULL,
    token_sha256 TEXT,
    backend TEXT,
    agent TEXT,
    outcome TEXT NOT NULL DEFAULT 'pending',
    reason TEXT,
    detail TEXT,
    role_arn TEXT,
    aud TEXT,
    kid TEXT,
    sub TEXT,
    iat INTEGER,
    exp INTEGER,
    signing_input_sha256 TEXT,
    role_session_name TEXT,
    access_key_id TEXT,
    assumed_role_arn TEXT,
    expires_at TEXT,
    duration_seconds INTEGER,
    first_seen_at TEXT NOT NULL,
    last_changed_at TEXT NOT NULL,
    jwt_issued_index INTEGER,
    creds_minted_index INTEGER
  ) STRICT;
  CREATE INDEX mints_by_wallet ON mints (wallet, kind, outcome);
  CREATE INDEX mints_by_kind ON mints (kind, outcome);
  CREATE INDEX mints_by_time ON mints (first_seen_at);
  CREATE INDEX mints_by_access_key ON mints (access_key_id) WHERE access_key_id IS NOT NULL;
`

// The original broker's table, as its runbooks query it. What has no counterpart in the ledger is NULL.
const MINT_LOG = `
  CREATE VIEW mint_log AS SELECT
    first_index AS id,
    unixepoch(first_seen_at) AS minted_at,
    token_sha256 AS requester_token_hash,
    wallet AS requester_wallet,
    iif(kind = 'oidc_jwt', kind, role_arn) AS requested_role,
    iif(kind = 'oidc_jwt', exp - iat, duration_seconds) AS session_duration_seconds,
    iif(kind = 'oidc_jwt', kid, role_session_name) AS sts_session_name,
    outcome,
    iif(detail IS NULL, reason, reason || ': ' || detail) AS outcome_detail
  FROM mints;
`

/** The events that name a mint, but for what bound it, or allowed it: other entries say what came of that. */
type MintEvent = Exclude<
  { [T in EventType]: EventData[T] extends { mintId: string } ? T : never }[EventType],
  'SessionScoped' | 'GrantUsed' | 'PolicyDecided' | 'ApprovalRequested' | 'ApprovalUsed'
>

/** What each event sets, as SQL over its data. Every event also sets last_index and last_changed_at. */
const SETS = {
  SessionValidated: { token_sha256: '@tokenSha256', backend: '@backend', agent: '@agent' },
  MintRefused: {
    kind: '@kind',
    token_sha256: '@tokenSha256',
    outcome: "'refused'",
    reason: '@reason',
    detail: '@detail',
  },
  JwtIssued: {
    kind: "iif(@purpose = 'sts', 'aws_creds', 'oidc_jwt')",
    outcome: "iif(@purpose = 'sts', 'pending', 'ok')",
    role_arn: '@roleArn',
    aud: '@aud',
    kid: '@kid',
    sub: '@sub',
    iat: '@iat',
    exp: '@exp',
    signing_input_sha256: '@signingInputSha256',
    jwt_issued_index: '@index',
  },
  CredsRequested: {
    kind: "'aws_creds'",
    outcome: "'pending'",
    role_arn: '@roleArn',
    role_session_name: '@roleSessionName',
    duration_seconds: '@durationSeconds',
  },
  CredsMinted: {
    kind: "'aws_creds'",
    outcome: "'ok'",
    role_arn: '@roleArn',
    role_session_name: '@roleSessionName',
    access_key_id: '@accessKeyId',
    assumed_role_arn: '@assumedRoleArn',
    expires_at: '@expiresAt',
    duration_seconds: '@durationSeconds',
    creds_minted_index: '@index',
  },
  CredsMintFailed: {
    kind: "'aws_creds'",
    outcome: "'sts_error'",
    reason: '@code',
    detail: '@detail',
    role_arn: '@roleArn',
  },
} satisfies Record<MintEvent, Partial<Record<keyof MintRow, string>>>

/** Every pair of kind and outcome that SETS can leave behind: audit-query.ts walks an index once for each. */
export const STATES: readonly (readonly [MintKind | null, MintOutcome])[] = [
  [null, 'pending'],
  ['oidc_jwt', 'ok'],
  ['oidc_jwt', 'refused'],
  ['aws_creds', 'pending'],
  ['aws_creds', 'ok'],
  ['aws_creds', 'refused'],
  ['aws_creds', 'sts_error'],
]

export const mints: Projection = {
  schema: TABLE + MINT_LOG,
  prepare(db) {
    const statements = new Map<string, Sqlite.Statement<[object]>>()
    for (const [type, sets] of Object.entries(SETS)) statements.set(type, db.prepare(upsert(sets)))
    return ({ type, data, index, time }) => {
      statements.get(type)?.run({ agent: null, detail: null, roleArn: null, ...data, index, time })
    }
  },
}

/**
 * The mint's first entry makes its row and fixes its wallet: whatever a later entry claims, the row stays where the
 * session that was validated can see it.
 */
function upsert(sets: Record<string, string>): string {
  const columns = Object.keys(sets)
  const changed = ['last_index', 'last_changed_at', ...columns].map(
    (column) => `${column} = excluded.${column}`,
  )
  return `
    INSERT INTO mints (first_index, last_index, mint_id, wallet, first_seen_at, last_changed_at, ${columns.join(', ')})
    VALUES (@index, @index, @mintId, @wallet, @time, @time, ${Object.values(sets).join(', ')})
    ON CONFLICT (mint_id) DO UPDATE SET ${changed.join(', ')}`
}
