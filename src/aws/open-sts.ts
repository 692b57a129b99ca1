import type { AwsConfig } from '../config/aws.js'
import { NoSts } from './no-sts.js'
import { SdkSts, type StsAccess } from './sdk-sts.js'
import type { Sts } from './sts.js'

export function openSts(aws: AwsConfig): Sts {
  if (aws.kind === 'off') return new NoSts()
  const { region, stsEndpoint } = aws
  return new SdkSts({
    access: accessOf(aws),
    region,
    ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }),
  })
}

function accessOf(aws: Exclude<AwsConfig, { kind: 'off' }>): StsAccess {
  if (aws.kind === 'web-identity' || aws.credentials.kind === 'default-chain') return { mode: aws.kind }
  const { accessKeyId, secretAccessKey } = aws.credentials
  return { mode: aws.kind, staticKeys: { accessKeyId, secretAccessKey } }
}
