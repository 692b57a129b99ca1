#!/usr/bin/env node
// The command line of the local AWS.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { AccountError, type AccountConfig } from './account.js'
import { DATA_ROLE_ARN, USER_KEY } from './default-account.js'
import { startLocalAws, type LocalAws, type LocalAwsOptions } from './server.js'
import { TrustPolicyError } from './trust-policy.js'

const USAGE = `Usage: node dist/tools/local-aws/main.js [options]

A local AWS STS for development and tests: it verifies web identity tokens and signatures as AWS does,
and hands out credentials that work nowhere but here. It listens on 127.0.0.1 only.

  --issuer URL    the OIDC issuer to trust (default http://127.0.0.1:8091)
  --port N        the port to listen on, 0 for any (default 8093)
  --config FILE   providers, roles and users as JSON, instead of the default account
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
    'local AWS: a stand-in for AWS STS, for development and tests. Its credentials open nothing at AWS.\n',
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
  const port = Number(flags.port)
  if (!/^\d{1,5}$/.test(flags.port) || port > 65_535) throw new Failure(2, '--port must be 0 to 65535')
  if (flags.config === undefined) return { port, issuer: flags.issuer ?? 'http://127.0.0.1:8091' }
  if (flags.issuer !== undefined)
    throw new Failure(2, '--issuer is for the default account: name the provider in the --config file')
  return { port, account: readConfig(flags.config) }
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
    if (error instanceof AccountError || error instanceof TrustPolicyError)
      throw new Failure(2, error.message)
    throw new Failure(3, `cannot listen on port ${options.port}: ${(error as Error).message}`)
  }
}

/** What a client needs. Only the default user's key, which is public, is ever printed. */
function environmentOf(aws: LocalAws, { account }: LocalAwsOptions): Record<string, string> {
  // The SDKs read AWS_REGION; boto3 and version 1 of the CLI read only the other.
  const endpoint = { AWS_ENDPOINT_URL_STS: aws.url, AWS_REGION: REGION, AWS_DEFAULT_REGION: REGION }
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
