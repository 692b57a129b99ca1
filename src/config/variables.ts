// Every environment variable the broker reads, by name. docs/configuration.md explains each; a test holds the two together.

export const VARIABLES = [
  'BROKER_OIDC_ISSUER',
  'BROKER_OIDC_KEYPAIR_PATH',
  'BROKER_JWKS_CACHE_SECONDS',
  'BROKER_OIDC_JWT_TTL_SECONDS',
  'BROKER_ALLOWED_AUDIENCES',
  'BROKER_BACKEND_URL',
  'BROKER_BACKEND_TIMEOUT_SECONDS',
  'BROKER_SESSION_BIND',
  'BROKER_SESSION_URL',
  'BROKER_DATA_BUCKET',
  'BROKER_MAIL_DOMAIN',
  'BROKER_MAIL_ROUTER_TOKEN_FILE',
  'BROKER_MAIL_POLL_SECONDS',
  'BROKER_DATA_ROLE_ARN',
  'BROKER_AGENT_ROLE_ARN',
  'ACCOUNT_ID',
  'BROKER_ALLOWED_ROLE_ARNS',
  'BROKER_READ_ONLY_ROLE_ARNS',
  'BROKER_SESSION_DURATION_SECONDS',
  'BROKER_POLICY',
  'BROKER_POLICY_TIMEZONE',
  'BROKER_POLICY_CANDIDATE',
  'BROKER_LIMIT_WALLET_PER_MINUTE',
  'BROKER_LIMIT_SESSION_PER_MINUTE',
  'BROKER_LIMIT_BROKER_PER_MINUTE',
  'BROKER_GRANTS',
  'BROKER_APPROVERS',
  'BROKER_APPROVAL_SECONDS',
  'BROKER_STS_KIND',
  'BROKER_STS_MODE',
  'BROKER_STS_SOURCE_IDENTITY',
  'BROKER_AWS_REGION',
  'AWS_REGION',
  'REGION',
  'AWS_ENDPOINT_URL_STS',
  'AWS_ENDPOINT_URL_S3',
  'AWS_ENDPOINT_URL',
  'DAEMON_ACCESS_KEY_ID',
  'BROKER_DAEMON_ACCESS_KEY_ID',
  'DAEMON_SECRET_ACCESS_KEY',
  'BROKER_DAEMON_SECRET_ACCESS_KEY',
  'BROKER_LEDGER_URL',
  'BROKER_LEDGER_ADMIN_URL',
  'BROKER_LEDGER_STREAM',
  'BROKER_LEDGER_ORIGIN',
  'BROKER_LEDGER_KEY_PATH',
  'BROKER_LEDGER_ENTRIES',
  'BROKER_WITNESS_POLICY',
  'BROKER_WITNESS_REFRESH_SECONDS',
  'BROKER_WITNESS_TIMEOUT_SECONDS',
  'BROKER_WITNESS_GAP_MS',
  'BROKER_RELEASE_REQUIRES',
  'BROKER_WITNESSED_ROLES',
  'BROKER_WITNESSED_AUDIENCES',
  'BROKER_DATA_DIR',
  'HOME',
  'BROKER_NODE_ID',
  'BROKER_AUDIT_DB_PATH',
  'BROKER_AUDITOR_TOKEN_FILE',
  'BROKER_OPERATOR_TOKEN_FILE',
  'BROKER_LONGEST_PAUSE_DAYS',
  'BROKER_SHUTDOWN_GRACE_SECONDS',
  'BROKER_LOG',
  'RUST_LOG',
] as const

export type Variable = (typeof VARIABLES)[number]

export const SECRET_VARIABLES: readonly string[] = [
  'DAEMON_ACCESS_KEY_ID',
  'BROKER_DAEMON_ACCESS_KEY_ID',
  'DAEMON_SECRET_ACCESS_KEY',
  'BROKER_DAEMON_SECRET_ACCESS_KEY',
] satisfies Variable[]

const FLAGS_NOT_VARIABLES: Readonly<Record<string, string>> = {
  BROKER_PORT: '--port',
  BROKER_BIND: '--bind',
  BROKER_SKIP_STARTUP_CHECK: '--skip-startup-check',
}

/** A misspelt BROKER_ALLOWED_AUDIENCES must not pass for an unset one. Values are not looked at. */
export function unknownVariables(names: readonly string[]): string[] {
  const known: readonly string[] = VARIABLES
  return names
    .filter((name) => name.startsWith('BROKER_') && !known.includes(name))
    .sort()
    .map((name) => `${printable(name)} is not a variable of the broker and has no effect: ${advice(name)}`)
}

function advice(name: string): string {
  const meant = FLAGS_NOT_VARIABLES[name] ?? nearest(name)
  return meant === undefined ? 'docs/configuration.md lists those there are' : `did you mean ${meant}?`
}

function nearest(name: string): string | undefined {
  const bare = VARIABLES.find((known) => name === `BROKER_${known}`)
  if (bare !== undefined) return bare
  const [best] = VARIABLES.map((known) => ({ known, edits: edits(name, known) })).sort(
    (a, b) => a.edits - b.edits,
  )
  return best !== undefined && best.edits <= MOST_EDITS ? best.known : undefined
}

/** More than that and the suggestion is a guess. */
const MOST_EDITS = 5

/** Levenshtein distance, one row at a time. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

/** Text from outside, fit for one line of a log: no line break, no control, no character that hides or turns others. */
export function printable(text: string): string {
  const escaped = text.replace(/[^\x20-\x7e]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
  return escaped.length > MOST_SHOWN ? `${escaped.slice(0, MOST_SHOWN)}…` : escaped
}

const MOST_SHOWN = 120
