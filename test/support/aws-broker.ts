// A broker process with an AWS account that trusts it: both on ports of their own.

import { startLocalAws, type LocalAws } from '../../tools/local-aws/server.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { BrokerProcess, type BrokerOptions } from './broker-process.js'
import { freePort } from './free-port.js'

/** Starts the account, and says what a broker on `port` must be given to be trusted by it. */
export async function awsFor(port: number): Promise<{ aws: LocalAws; env: Record<string, string> }> {
  const issuer = `http://127.0.0.1:${port}`
  const aws = await startLocalAws({ issuer })
  const env = {
    BROKER_OIDC_ISSUER: issuer,
    BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN,
    AWS_ENDPOINT_URL_STS: aws.url,
  }
  return { aws, env }
}

export async function startAwsBroker(
  options: BrokerOptions = {},
): Promise<{ aws: LocalAws; broker: BrokerProcess }> {
  const port = options.port ?? (await freePort())
  const { aws, env } = await awsFor(port)
  try {
    return { aws, broker: await BrokerProcess.start({ ...options, port, env: { ...env, ...options.env } }) }
  } catch (error) {
    await aws.close()
    throw error
  }
}
