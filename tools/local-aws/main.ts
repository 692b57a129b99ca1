#!/usr/bin/env node
// The command line of the local AWS.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { PolicyDocumentError } from '../../src/domain/iam/policy.js'
import { AccountError, type AccountConfig } from './account.js'
import { DATA_ROLE_ARN, USER_KEY } from './default-account.js'
import { startLocalAws, type LocalAws, type LocalAwsOptions } from './server.js'

const USAGE = `Usage: node dist/tools/local-aws/main.js [options]

A local AWS, STS and S3, for development and tests: it verifies web identity tokens, signatures and policies
as AWS does, and hands out credentials that work nowhere but here. It listens on 127.0.0.1 only.

  --issuer URL    the OIDC issuer to trust (default http://127.0.0.1:8091)
  --port N        the port of STS, 0 for any (default 8093)
  --s3-port N     the port of S3, 0 for any (default the port after that of STS)
  --config FILE   providers, roles, users and buckets as JSON, instead of the default account
  --json          print the environment as one line of JSON
  --help          print this
  --version       print the version

Prints the environment for AWS clients on stdout, and a line per call on stderr. Stops at SIGINT or SIGTERM.
Exit codes: 0 stopped, 2 wrong usage or configuration, 3 could not read the file or take the port.`

/** Any region will do: a signature is checked for the one it names. */
const REGION = 'us-east-1'

/** Ends the program with a message and a code; 2 and 3 as in the usage text. */
class Failure extends Error {
  constructor(
    readonly exitCode: 2 | 3,
    message: string,
  ) {
    super(message)
  }
}

async function main(args: string[]): Promise<void> {
  const flags = parseFlags(args)
  if (flags.help) return print(USAGE)
  if (flags.version) return print(version())

  const options = optionsOf(flags)
  const aws = await start({ ...options, log: (line) => process.stderr.write(`${line}\n`) })
  process.stderr.write(
    'local AWS: a stand-in for AWS STS and S3, for development and tests. Its credentials open nothing at AWS.\n',
  )
  const environment = environmentOf(aws, options)
  print(flags.json ? JSON.stringify(environment) : exportLines(environment))
  await stopSignal()
  await aws.close()
}

function parseFlags(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        issuer: { type: 'string' },
        port: { type: 'string', default: '8093' },
        's3-port': { type: 'string' },
        config: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new Failure(2, `${(error as Error).message}. See --help.`)
  }
}

function optionsOf(flags: ReturnType<typeof parseFlags>): LocalAwsOptions {
  const port = portOf('--port', flags.port)
  const s3Port = portOf('--s3-port', flags['s3-port'] ?? String(port === 0 ? 0 : port + 1))
  if (flags.config === undefined) return { port, s3Port, issuer: flags.issuer ?? 'http://127.0.0.1:8091' }
  if (flags.issuer !== undefined)
    throw new Failure(2, '--issuer is for the default account: name the provider in the --config file')
  return { port, s3Port, account: readConfig(flags.config) }
}

function portOf(flag: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new Failure(2, `${flag} must be 0 to 65535`)
}

function readConfig(file: string): AccountConfig {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Failure(3, `--config ${file} cannot be read: ${(error as Error).message}`)
  }
  try {
    // Not yet believed: startLocalAws parses it strictly.
    return JSON.parse(text) as AccountConfig
  } catch (error) {
    throw new Failure(2, `--config ${file} is not JSON: ${(error as Error).message}`)
  }
}

async function start(options: LocalAwsOptions): Promise<LocalAws> {
  try {
    return await startLocalAws(options)
  } catch (error) {
    if (error instanceof AccountError || error instanceof PolicyDocumentError)
      throw new Failure(2, error.message)
    throw new Failure(
      3,
      `cannot listen on port ${options.port} or ${options.s3Port}: ${(error as Error).message}`,
    )
  }
}

/** What a client needs. Only the default user's key, which is public, is ever printed. */
function environmentOf(aws: LocalAws, { account }: LocalAwsOptions): Record<string, string> {
  // The SDKs read AWS_REGION; boto3 and version 1 of the CLI read only the other.
  const endpoint = {
    AWS_ENDPOINT_URL_STS: aws.url,
    AWS_ENDPOINT_URL_S3: aws.s3.url,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
  }
  if (account) return endpoint
  return {
    ...endpoint,
    BROKER_DATA_ROLE_ARN: DATA_ROLE_ARN,
    AWS_ACCESS_KEY_ID: USER_KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: USER_KEY.secretAccessKey,
  }
}

function exportLines(environment: Record<string, string>): string {
  return Object.entries(environment)
    .map(([name, value]) => {
      const line = `export ${name}=${value}`
      return name === 'AWS_ACCESS_KEY_ID' ? `# for BROKER_STS_MODE=assume-role:\n${line}` : line
    })
    .join('\n')
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`local-aws: ${error.message}\n`)
  process.exitCode = error.exitCode
}
