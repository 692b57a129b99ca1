// The settings of `agentkeys-broker mail-router`.

import { formatAddress } from './address.js'
import { BUCKET } from './clients.js'
import { Environment, matching, path, type Variables, wholeNumber } from './environment.js'
import { type LogLevel, readLogLevel } from './log-level.js'
import { readSessionBind } from './session.js'
import { crossesInClear, parseServiceUrl } from './urls.js'
import { unknownVariables, type Variable } from './variables.js'

export interface MailRouterConfig {
  readonly bucket: string
  readonly region: string
  /** Of an S3 that is not AWS's. */
  readonly endpoint: string | undefined
  /** Which session backend has the inboxes. */
  readonly backendUrl: string
  readonly tokenFile: string
  readonly pollSeconds: number
  readonly shutdownGraceSeconds: number
  readonly logLevel: LogLevel
}

export type MailRouterReading =
  | { config: MailRouterConfig; warnings: readonly string[] }
  | { problems: readonly string[]; warnings: readonly string[] }

const REGION = matching(/^[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}$/, 'a region, such as eu-central-1')

export function readMailRouter(variables: Variables): MailRouterReading {
  const env = new Environment(variables)
  const { warnings, problems } = env
  warnings.push(...unknownVariables(Object.keys(variables)))
  const config: MailRouterConfig = {
    bucket: env.read('BROKER_DATA_BUCKET', BUCKET, ''),
    region: env.read(
      env.firstFilled(['BROKER_AWS_REGION', 'AWS_REGION']) ?? 'BROKER_AWS_REGION',
      REGION,
      'us-east-1',
    ),
    endpoint: readEndpoint(env),
    backendUrl: readBackendUrl(env),
    tokenFile: env.read('BROKER_MAIL_ROUTER_TOKEN_FILE', path, ''),
    pollSeconds: env.read('BROKER_MAIL_POLL_SECONDS', wholeNumber(1, 300, 'seconds'), 2),
    shutdownGraceSeconds: env.read('BROKER_SHUTDOWN_GRACE_SECONDS', wholeNumber(0, 300, 'seconds'), 30),
    logLevel: readLogLevel(env),
  }
  for (const [name, what] of REQUIRED) if (!env.has(name)) problems.push(`${name} is not set: ${what}`)
  return problems.length > 0 ? { problems, warnings } : { config, warnings }
}

const REQUIRED: readonly (readonly [Variable, string])[] = [
  ['BROKER_DATA_BUCKET', 'name the bucket whose inbound/ SES writes to'],
  ['BROKER_MAIL_ROUTER_TOKEN_FILE', 'name the file that the session backend is given by the same variable'],
]

function readEndpoint(env: Environment): string | undefined {
  const name = env.firstFilled(['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'])
  return name && env.read(name, parseServiceUrl, undefined)
}

function readBackendUrl(env: Environment): string {
  if (!env.has('BROKER_BACKEND_URL')) return `http://${formatAddress(readSessionBind(env))}`
  const url = env.read('BROKER_BACKEND_URL', parseServiceUrl, 'http://127.0.0.1:8090')
  if (crossesInClear(url))
    env.warnings.push(
      `BROKER_BACKEND_URL=${url}: the mail router's token crosses the network in clear; use https`,
    )
  return url
}
