// exec -- CMD: runs a command that has AWS credentials and no other secret.

import { rmSync } from 'node:fs'

import { environmentCredentials } from '../aws-forms.js'
import { roleSessionName } from '../aws-profile.js'
import { spawnChild } from '../child.js'
import { privateAwsConfig, type PrivateConfig, scrubbed } from '../child-environment.js'
import type { Call } from '../command.js'
import { Context } from '../context.js'
import { credentialsFor } from '../credentials.js'
import type { HeldCredentials } from '../held-credentials.js'
import { type Endpoint, openEndpoint } from '../endpoint.js'
import { openEphemeral } from '../ephemeral.js'
import { askOf } from '../mint-options.js'

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const ask = askOf(call.values)
  const ephemeral = call.values['ephemeral'] === true ? await openEphemeral(context, ask) : undefined
  const credentials = ephemeral?.credentials ?? (() => credentialsFor(context, ask))
  try {
    return await runWith(call, credentials)
  } finally {
    await ephemeral?.revoke()
  }
}

async function runWith({ values, rest }: Call, credentials: () => Promise<HeldCredentials>): Promise<number> {
  // Before the child starts: an SDK waits a second or two for its first credential, and a mint may take longer.
  const first = await credentials()
  const config = values['keep-aws-config'] === true ? undefined : privateAwsConfig(first.region)
  const endpoint = values['env'] === true ? undefined : await openEndpoint(credentials)
  try {
    const env = { ...scrubbed(process.env), ...config?.env, ...delivery(first, endpoint) }
    return await spawnChild(rest, env)
  } finally {
    endpoint?.close()
    remove(config)
  }
}

function delivery(held: HeldCredentials, endpoint: Endpoint | undefined): Record<string, string> {
  const region = { AWS_REGION: held.region, AWS_DEFAULT_REGION: held.region }
  const session = { AWS_ROLE_SESSION_NAME: roleSessionName(held.wallet) }
  if (!endpoint) return { ...session, ...environmentCredentials(held) }
  return {
    ...region,
    ...session,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: endpoint.url,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: endpoint.token,
  }
}

function remove(config: PrivateConfig | undefined): void {
  if (config) rmSync(config.folder, { recursive: true, force: true })
}
