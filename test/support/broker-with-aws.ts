// A broker and the AWS it mints at: a local STS whose account trusts the broker as its OIDC issuer.

import { type AccountConfig } from '../../tools/local-aws/account.js'
import { DATA_ROLE_ARN, defaultAccount, USER_KEY } from '../../tools/local-aws/default-account.js'
import { type LocalAws, startLocalAws } from '../../tools/local-aws/server.js'
import { type BrokerOptions, BrokerProcess } from './broker-process.js'
import { freePort } from './free-port.js'

/** A second role, with the same trust as the data role. */
export const OTHER_ROLE_ARN = 'arn:aws:iam::111122223333:role/agentkeys-other-role'

export interface BrokerWithAws {
  /** A test that starts it again puts the new one here. */
  broker: BrokerProcess
  aws: LocalAws
  dispose(): Promise<void>
}

export const STATIC_KEYS = {
  BROKER_STS_MODE: 'assume-role',
  DAEMON_ACCESS_KEY_ID: USER_KEY.accessKeyId,
  DAEMON_SECRET_ACCESS_KEY: USER_KEY.secretAccessKey,
}

export async function startBrokerWithAws(options: BrokerOptions = {}): Promise<BrokerWithAws> {
  const port = options.port ?? (await freePort())
  const aws = await startLocalAws({ account: twoRoles(`http://127.0.0.1:${port}`) })
  try {
    const env = { ...awsEnv(aws), ...options.env }
    const broker = await BrokerProcess.start({ ...options, port, env })
    const world: BrokerWithAws = {
      broker,
      aws,
      dispose: async () => {
        await world.broker.dispose()
        await aws.close()
      },
    }
    return world
  } catch (error) {
    await aws.close()
    throw error
  }
}

export function awsEnv({ url }: { url: string }): Record<string, string> {
  return { BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN, AWS_ENDPOINT_URL_STS: url }
}

function twoRoles(issuer: string): AccountConfig {
  const account = defaultAccount(issuer)
  const roles = account.roles.flatMap((role) => [role, { ...role, arn: OTHER_ROLE_ARN }])
  return { ...account, roles }
}
