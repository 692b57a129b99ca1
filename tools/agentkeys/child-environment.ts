// The environment of a child that is to use our credentials and no others. In every AWS SDK environment keys, a web
// identity token file and any profile, `[default]` too, outrank a container endpoint, so they are taken away.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SCRUBBED = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_CREDENTIAL_FILE',
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_BEARER_TOKEN_BEDROCK',
  'AWS_SDK_LOAD_CONFIG',
  'AWS_VAULT',
  'AGENTKEYS_SESSION',
] as const

/** `env` without any AWS credential and without our session. */
export function scrubbed(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const taken: ReadonlySet<string> = new Set(SCRUBBED)
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !taken.has(name))),
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

export interface PrivateConfig {
  /** To be removed when the child has ended. */
  folder: string
  env: Record<string, string>
}

/** AWS config files of the child's own, with the region and nothing else: the user's profiles are not seen. */
export function privateAwsConfig(region: string): PrivateConfig {
  const folder = mkdtempSync(join(tmpdir(), 'agentkeys-exec-'))
  const [config, credentials] = [join(folder, 'config'), join(folder, 'credentials')]
  writeFileSync(config, `[default]\nregion = ${region}\n`, { mode: 0o600 })
  writeFileSync(credentials, '', { mode: 0o600 })
  return { folder, env: { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: credentials } }
}
