// The AWS SDK, pointed at an STS of ours. Nothing of it is replaced.

import { STSClient, type STSServiceException } from '@aws-sdk/client-sts'

export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

export function stsClient(url: string, credentials?: Keys, maxAttempts = 1): STSClient {
  return new STSClient({
    endpoint: url,
    region: 'us-east-1',
    maxAttempts,
    ...(credentials && { credentials: { ...credentials } }),
  })
}

/** The keys in an answer of STS. */
export function keysOf(answer: {
  Credentials?:
    | {
        AccessKeyId?: string | undefined
        SecretAccessKey?: string | undefined
        SessionToken?: string | undefined
      }
    | undefined
}): Keys {
  const { AccessKeyId, SecretAccessKey, SessionToken } = answer.Credentials ?? {}
  if (!AccessKeyId || !SecretAccessKey || !SessionToken) throw new Error('the answer has no credentials')
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken }
}

/** How a call was refused, as the SDK understood it. */
export async function refusal(
  call: Promise<unknown>,
): Promise<{ name: string; status: number | undefined; message: string }> {
  try {
    await call
  } catch (error) {
    const { name, message, $metadata } = error as STSServiceException
    return { name, status: $metadata?.httpStatusCode, message }
  }
  throw new Error('STS said yes')
}
