// provision SERVICE: sign up, get a key, store it encrypted. One run at a time.

import { join } from 'node:path'

import { environmentCredentials } from '../aws-forms.js'
import { scrubbed } from '../child-environment.js'
import type { Context } from '../context.js'
import { mintCredentials } from '../credentials.js'
import { describeBroker } from '../description.js'
import { tryFileLock } from '../file-lock.js'
import { homeDir } from '../home.js'
import { StoredCredentials } from '../stored-credentials.js'

import { ProvisionError } from './provision-error.js'
import { runScraper } from './run-scraper.js'
import { scraperFor } from './scrapers.js'

export interface Provisioned {
  service: string
  apiKeyMasked: string
  /** False where a stored key was found and nothing was run. */
  created: boolean
  stored: true
}

export interface ProvisionOptions {
  service: string
  force: boolean
  onProgress: (step: string) => void
}

/** Rejects with ProvisionError, ClientError or CliError. */
export async function provision(context: Context, options: ProvisionOptions): Promise<Provisioned> {
  const { service, force } = options
  const command = scraperFor(service)
  context.home.make()
  const held = await tryFileLock(join(homeDir(), 'provision.lock'), async () => {
    const credentials = await StoredCredentials.open(context, undefined)
    if (!force && (await credentials.list()).includes(service))
      return described(service, await credentials.read(service), false)
    const key = await runScraper({ ...options, command, env: await environment(context) })
    await stored(credentials, service, key)
    return described(service, key, true)
  })
  if (held) return held.result
  throw new ProvisionError('PROVISION_IN_PROGRESS', {
    problem: 'another provisioning run is under way',
    cause: 'one runs at a time: two browsers at one site would be taken for a robot',
    fix: 'wait for it to end, then repeat',
  })
}

/** With a broker that was named: AWS credentials of this wallet only. Otherwise the environment as it is. */
async function environment(context: Context): Promise<NodeJS.ProcessEnv> {
  if (!context.brokerIsNamed) return process.env
  try {
    const credentials = environmentCredentials(await mintCredentials(context, {}))
    return { ...(await mailSettings(context)), ...scrubbed(process.env), ...credentials }
  } catch (error) {
    throw new ProvisionError(
      'BROKER_FETCH_FAILED',
      {
        problem: 'the broker gave no AWS credentials for the scraper',
        cause: (error as Error).message,
        fix: 'agentkeys doctor says what is wrong',
      },
      { cause: error },
    )
  }
}

/** Where the wallet's mail arrives; what the user's environment names beats it. */
async function mailSettings({ home }: Context): Promise<Record<string, string>> {
  const { bucket, mailDomain } = (await describeBroker(home.url)) ?? {}
  return {
    ...(bucket === undefined ? {} : { AGENTKEYS_SES_BUCKET: bucket }),
    ...(mailDomain === undefined ? {} : { AGENTKEYS_EMAIL_DOMAIN: mailDomain }),
  }
}

async function stored(credentials: StoredCredentials, service: string, key: string): Promise<void> {
  try {
    await credentials.store(service, key)
  } catch (error) {
    throw new ProvisionError(
      'PROVISION_STORE_FAILED',
      {
        problem: `the key of ${service} was made and could not be stored`,
        cause: (error as Error).message,
        fix: `the key is lost here: revoke it at ${service}, then run agentkeys provision ${service} again`,
      },
      { cause: error },
    )
  }
}

function described(service: string, key: string, created: boolean): Provisioned {
  return { service, apiKeyMasked: masked(key), created, stored: true }
}

/** The first eight and the last four characters; of a short key nothing. */
export function masked(key: string): string {
  return key.length < 12 ? '****' : `${key.slice(0, 8)}****...${key.slice(-4)}`
}
