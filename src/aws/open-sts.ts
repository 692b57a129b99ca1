import type { AwsConfig } from '../config/aws.js'
import { NoSts } from './no-sts.js'
import type { StsAccess } from './sdk-sts.js'
import type { Sts } from './sts.js'

export async function openSts(aws: AwsConfig): Promise<Sts> {
  if (aws.kind === 'off') return new NoSts()
  // The AWS SDK is loaded by a broker that has a role, and by no other.
  const { SdkSts } = await import('./sdk-sts.js')
  const { region, stsKind, stsEndpoint } = aws
  return new SdkSts({ access: accessOf(aws), kind: stsKind, region, endpoint: stsEndpoint })
}

function accessOf(aws: Exclude<AwsConfig, { kind: 'off' }>): StsAccess {
  if (aws.kind === 'web-identity' || aws.credentials.kind === 'default-chain') return { mode: aws.kind }
  const { accessKeyId, secretAccessKey } = aws.credentials
  return { mode: aws.kind, staticKeys: { accessKeyId, secretAccessKey } }
}
