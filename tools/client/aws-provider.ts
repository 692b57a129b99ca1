// The broker as a credential provider of the AWS SDK for JavaScript v3.

import { BrokerClient, type BrokerClientOptions, type CredentialsAsk } from './broker-client.js'

/** As @smithy/types has it; stated here so that no AWS package is needed for the types. */
export interface AwsCredentialIdentity {
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  expiration: Date
  accountId: string
}

/**
 * A provider for `credentials` of any AWS SDK v3 client. The SDK calls it again when the credentials have five minutes
 * left. Calls at the same time share one mint. Rejects with ClientError.
 */
export function fromAgentKeys(
  options: BrokerClientOptions & CredentialsAsk,
): () => Promise<AwsCredentialIdentity> {
  const client = new BrokerClient(options)
  const { role, durationSeconds } = options
  const ask = {
    ...(role === undefined ? {} : { role }),
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
  }
  let underWay: Promise<AwsCredentialIdentity> | undefined
  return () => {
    underWay ??= mint(client, ask).finally(() => (underWay = undefined))
    return underWay
  }
}

async function mint(client: BrokerClient, ask: CredentialsAsk): Promise<AwsCredentialIdentity> {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAt, roleArn } =
    await client.mintAwsCredentials(ask)
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiresAt, accountId: accountOf(roleArn) }
}

function accountOf(roleArn: string): string {
  return roleArn.split(':')[4] ?? ''
}
