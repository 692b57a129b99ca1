// AWS's own programs, as a user of this machine has them: each prints who it is to AWS.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface AwsClient {
  name: string
  /** Prints the ARN, and nothing else, on stdout. */
  line: string[]
}

const DEBIAN_CLI = '/usr/bin/aws'
const DEBIAN_PYTHON = '/usr/bin/python3'

const WHO_AM_I = ['sts', 'get-caller-identity', '--query', 'Arn', '--output', 'text']
const BOTO3 = 'import boto3; print(boto3.client("sts").get_caller_identity()["Arn"])'
const SDK = `
import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
const { Arn } = await new STSClient().send(new GetCallerIdentityCommand())
console.log(Arn)
`

/** Where Node finds the project's packages by name. */
const DIST = fileURLToPath(new URL('../..', import.meta.url))

/** A program of ours that finds the project's packages; it lies in the build's folder. */
export function nodeProgram(name: string, source: string): string {
  const path = join(mkdtempSync(join(DIST, 'program-')), `${name}.mjs`)
  writeFileSync(path, source)
  return path
}

/** Debian's, which CI installs; a newer `aws` on PATH too where there is one; the SDK for JavaScript. */
export function awsClients(home: string): { found: AwsClient[]; missing: string[] } {
  const runs = ([command = '', ...args]: string[]) =>
    spawnSync(command, args, { env: { PATH: process.env['PATH'], HOME: home } }).status === 0
  const found: AwsClient[] = [
    { name: '@aws-sdk/client-sts', line: [process.execPath, nodeProgram('whoami', SDK)] },
  ]
  const missing: string[] = []
  if (runs([DEBIAN_CLI, '--version'])) found.push({ name: "Debian's aws", line: [DEBIAN_CLI, ...WHO_AM_I] })
  else missing.push(`${DEBIAN_CLI} (apt-get install awscli)`)
  if (runs([DEBIAN_PYTHON, '-c', 'import boto3']))
    found.push({ name: "Debian's boto3", line: [DEBIAN_PYTHON, '-c', BOTO3] })
  else missing.push('boto3 (apt-get install python3-boto3)')
  const other = otherAws()
  if (other !== undefined && runs([other, '--version']))
    found.push({ name: 'another aws on PATH', line: [other, ...WHO_AM_I] })
  return { found, missing }
}

function otherAws(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'aws'))
    .find((path) => exists(path) && realpathSync(path) !== exists(DEBIAN_CLI))
}

function exists(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/**
 * Sends every STS client of botocore to `url`: 1.29 does not know AWS_ENDPOINT_URL_STS, and no setting of its reaches the
 * client that exchanges a web identity. A rule set in ~/.aws/models comes before botocore's own.
 */
export function redirectSts(home: string, url: string): void {
  const folder = join(home, '.aws', 'models', 'sts', '2011-06-15')
  mkdirSync(folder, { recursive: true })
  const parameters = {
    Region: { builtIn: 'AWS::Region', required: false, documentation: 'the region', type: 'String' },
  }
  const rules = [{ conditions: [], type: 'endpoint', endpoint: { url, properties: {}, headers: {} } }]
  const ruleSet = { version: '1.0', parameters, rules }
  writeFileSync(join(folder, 'endpoint-rule-set-1.json'), JSON.stringify(ruleSet))
}
