// Which STS the tokens go to. Resolved here, shown, and hashed into BrokerStarted; the AWS SDK is given the result, so that
// nothing it reads on its own (~/.aws/config, other AWS_ variables) can send tokens elsewhere.

import type { Environment } from './environment.js'
import { crossesInClear, parseServiceUrl } from './urls.js'

interface Partition {
  name: string
  regions: RegExp
  /** Regional services have their names under it. */
  domain: string
}

/** The AWS partitions: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html */
const PARTITIONS: readonly Partition[] = [
  { name: 'aws-cn', regions: /^cn-/, domain: 'amazonaws.com.cn' },
  { name: 'aws-us-gov', regions: /^us-gov-/, domain: 'amazonaws.com' },
  { name: 'aws-iso', regions: /^us-iso-/, domain: 'c2s.ic.gov' },
  { name: 'aws-iso-b', regions: /^us-isob-/, domain: 'sc2s.sgov.gov' },
  { name: 'aws-iso-e', regions: /^eu-isoe-/, domain: 'cloud.adc-e.uk' },
  { name: 'aws-iso-f', regions: /^us-isof-/, domain: 'csp.hci.ic.gov' },
  { name: 'aws-eusc', regions: /^eusc-/, domain: 'amazonaws.eu' },
]
const COMMERCIAL: Partition = { name: 'aws', regions: /^/, domain: 'amazonaws.com' }

/** Dual-stack endpoints are under api.aws. */
const AWS_DOMAINS = ['amazonaws.com', 'api.aws', ...PARTITIONS.map(({ domain }) => domain)]

function partitionOf(region: string): Partition {
  return PARTITIONS.find(({ regions }) => regions.test(region)) ?? COMMERCIAL
}

export function regionalEndpoint(region: string): string {
  return `https://sts.${region}.${partitionOf(region).domain}`
}

/** STS of one partition has no role of another: every mint would fail, and a token would have gone to the wrong AWS. */
export function checkPartition(env: Environment, region: string, roleArns: readonly string[]): void {
  const { name } = partitionOf(region)
  for (const arn of roleArns) {
    const partition = arn.split(':')[1]
    if (partition === name) continue
    env.problems.push(
      `${arn} is in partition ${partition}, but region ${region} is in ${name}: set BROKER_AWS_REGION to a region of the role's partition`,
    )
  }
}

/** What is accepted of another server must not be accepted of AWS: a kind that was set by mistake would loosen every check. */
export function checkCompatibleEndpoint(env: Environment, endpoint: string): void {
  const host = new URL(endpoint).hostname
  const isAws = AWS_DOMAINS.some((domain) => host === domain || host.endsWith(`.${domain}`))
  if (!isAws) return
  env.problems.push(
    `BROKER_STS_KIND=s3-compatible: the STS endpoint ${endpoint} is AWS's; set AWS_ENDPOINT_URL_STS to the server's own, or BROKER_STS_KIND=aws`,
  )
}

/** The SDK's order: the variable of the service before the one of all services. */
export function readStsEndpoint(env: Environment, region: string): string {
  const name = env.firstFilled(['AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'])
  const endpoint = name && env.read(name, parseServiceUrl, undefined)
  if (endpoint === undefined) return regionalEndpoint(region)
  if (crossesInClear(endpoint)) {
    env.warnings.push(`${name}=${endpoint}: tokens and AWS credentials cross the network in clear; use https`)
  } else if (name === 'AWS_ENDPOINT_URL') {
    env.warnings.push(
      `${name}=${endpoint}: tokens go there instead of to the region's STS; set AWS_ENDPOINT_URL_STS if that is meant, or unset it`,
    )
  }
  return endpoint
}
