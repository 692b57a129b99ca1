// Relying parties by name: their audience, and the form in which their tools read a token. The operator has to allow
// the audience (BROKER_ALLOWED_AUDIENCES).

import { UsageError } from './command.js'
import { closest } from './closest.js'
import { CliError } from './report-error.js'
import type { TokenFormat } from './token-forms.js'

interface RelyingParty {
  /** Undefined: it is the customer's own, and --audience has to name it. */
  audience: string | undefined
  format: TokenFormat
}

const PARTIES: Readonly<Record<string, RelyingParty>> = {
  // IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM".
  aws: { audience: 'sts.amazonaws.com', format: 'raw' },
  // Google Cloud, "Workload Identity Federation": the provider's resource name, of the customer's own project.
  gcp: { audience: undefined, format: 'gcp-executable' },
  // Anthropic, "Workload identity federation".
  anthropic: { audience: 'https://api.anthropic.com', format: 'raw' },
  // Snowflake, "Workload identity federation", OIDC.
  snowflake: { audience: 'snowflakecomputing.com', format: 'raw' },
  // Vault and OpenBao, "JWT/OIDC auth method": the role's bound_audiences.
  vault: { audience: undefined, format: 'raw' },
  // Kubernetes, "Authenticating", client-go credential plugins: the API server's own audience.
  k8s: { audience: undefined, format: 'k8s-exec' },
}

/** Throws UsageError for a name that is not known, CliError for one that cannot take our tokens. */
export function audienceFor(name: string): RelyingParty {
  const party = Object.hasOwn(PARTIES, name) ? PARTIES[name] : undefined
  if (party) {
    if (party.audience === undefined && name !== 'gcp')
      throw new UsageError(
        `--for ${name}: its audience is your own: give --audience A --format ${party.format}`,
      )
    return { ...party, audience: party.audience ?? googleAudience() }
  }
  if (name === 'azure')
    throw new CliError(
      'Azure takes RS256 tokens only, and this broker signs with ES256',
      'use another relying party, or ask the operator for an RS256 key',
      1,
    )
  const meant = closest(name, Object.keys(PARTIES))
  throw new UsageError(
    `--for: one of ${Object.keys(PARTIES).join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
  )
}

/** Google's libraries tell an executable the audience of their configuration. */
function googleAudience(): string {
  const audience = process.env['GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE']
  if (audience) return audience
  throw new UsageError(
    '--for gcp: GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE is not set: let a Google library call it, or give --audience',
  )
}
