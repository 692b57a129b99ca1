// AWS credentials in the forms that AWS's own tools read.

import type { HeldCredentials } from './held-credentials.js'

const expiration = ({ expiresAt }: HeldCredentials) => new Date(expiresAt).toISOString().replace('.000Z', 'Z')
const accountId = ({ roleArn }: HeldCredentials) => roleArn.split(':')[4] ?? ''

/** What `credential_process` prints. AWS SDKs and Tools Reference Guide, "Process credential provider". */
export function processCredentials(held: HeldCredentials) {
  return {
    Version: 1,
    AccessKeyId: held.accessKeyId,
    SecretAccessKey: held.secretAccessKey,
    SessionToken: held.sessionToken,
    Expiration: expiration(held),
    AccountId: accountId(held),
  }
}

/** What a container credentials endpoint answers. AWS SDKs and Tools Reference Guide, "Container credential provider". */
export function containerCredentials(held: HeldCredentials) {
  return {
    AccessKeyId: held.accessKeyId,
    SecretAccessKey: held.secretAccessKey,
    Token: held.sessionToken,
    Expiration: expiration(held),
    AccountId: accountId(held),
    RoleArn: held.roleArn,
  }
}

/** Environment variables; they do not renew themselves. */
export function environmentCredentials(held: HeldCredentials): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: held.accessKeyId,
    AWS_SECRET_ACCESS_KEY: held.secretAccessKey,
    AWS_SESSION_TOKEN: held.sessionToken,
    AWS_CREDENTIAL_EXPIRATION: expiration(held),
    AWS_REGION: held.region,
    AWS_DEFAULT_REGION: held.region,
  }
}
