// Which AWS roles there are, and how the broker gets at them.

import { type Environment, listOf, matching, oneOf, type Parse, InvalidSettingError } from './environment.js'
import { checkCompatibleEndpoint, checkPartition, readStsEndpoint } from './sts-endpoint.js'
import { isOnLoopback } from './urls.js'
import type { Variable } from './variables.js'

/** What the broker shows STS in assume-role mode. */
export type AwsCredentialSource =
  | { readonly kind: 'static'; readonly accessKeyId: string; readonly secretAccessKey: string }
  | { readonly kind: 'default-chain' }

/** Whose STS it is. An S3-compatible one (SeaweedFS, Ceph, MinIO) may leave out what AWS always answers: docs/s3-compatible.md. */
export type StsKind = 'aws' | 's3-compatible'

interface Sts {
  readonly region: string
  readonly stsKind: StsKind
  /** The region's own, or the one that is set. */
  readonly stsEndpoint: string
}

/** off: no role is configured, so there is nothing to ask STS for. */
export type AwsConfig =
  | { readonly kind: 'off' }
  | ({ readonly kind: 'web-identity' } & Sts)
  | ({ readonly kind: 'assume-role'; readonly credentials: AwsCredentialSource } & Sts)

export interface Roles {
  dataRoleArn: string | undefined
  allowedRoleArns: readonly string[]
  readOnlyRoleArns: readonly string[]
}

/** An S3-compatible server names its roles without account (Ceph, MinIO: `::role`; SeaweedFS: `:role`) or as AWS does. */
const ROLE_ARNS: { readonly [K in StsKind]: { pattern: RegExp; form: string } } = {
  aws: {
    pattern: /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/,
    form: 'arn:aws:iam::<12 digits>:role/<name>',
  },
  's3-compatible': {
    pattern: /^arn:[a-z][a-z0-9-]{0,19}:iam::(?:\d{12}:|:)?role\/[\w+=,.@/-]{1,512}$/,
    form: 'arn:<partition>:iam::[<12 digits>][:]role/<name>',
  },
}

export function readStsKind(env: Environment): StsKind {
  return env.read('BROKER_STS_KIND', oneOf('aws', 's3-compatible'), 'aws')
}

export function readRoles(env: Environment, stsKind: StsKind): Roles {
  const { pattern, form } = ROLE_ARNS[stsKind]
  const roles = listOf(pattern, `role ARNs, ${form}`)
  const dataRoleArn = readDataRole(env, ROLE_ARNS[stsKind])
  const allowedRoleArns = env.read('BROKER_ALLOWED_ROLE_ARNS', roles, [])
  const readOnlyRoleArns = env.read('BROKER_READ_ONLY_ROLE_ARNS', roles, [])
  for (const arn of readOnlyRoleArns) {
    if (arn === dataRoleArn || allowedRoleArns.includes(arn)) continue
    env.problems.push(
      `BROKER_READ_ONLY_ROLE_ARNS lists ${arn}, which may not be asked for: list it in BROKER_ALLOWED_ROLE_ARNS too`,
    )
  }
  return { dataRoleArn, allowedRoleArns, readOnlyRoleArns }
}

function readDataRole(
  env: Environment,
  { pattern, form }: { pattern: RegExp; form: string },
): string | undefined {
  const arn = env.firstSet(['BROKER_DATA_ROLE_ARN', 'BROKER_AGENT_ROLE_ARN'])
  if (arn !== undefined) {
    return env.read(arn, matching(pattern, `a role ARN, ${form}`), undefined)
  }
  const account = env.read('ACCOUNT_ID', matching(/^\d{12}$/, 'an AWS account id of 12 digits'), undefined)
  return account && `arn:aws:iam::${account}:role/agentkeys-data-role`
}

export function readAws(
  env: Environment,
  { issuer, dataRoleArn, allowedRoleArns }: Omit<Roles, 'readOnlyRoleArns'> & { issuer: string },
  stsKind: StsKind,
): AwsConfig {
  const credentials = readCredentials(env)
  const keysDecide = credentials.kind === 'static' && isOnLoopback(issuer)
  const mode = env.read('BROKER_STS_MODE', oneOf(...STS_MODES), keysDecide ? 'assume-role' : 'web-identity')
  const region = readRegion(env)
  const sts = { region, stsKind, stsEndpoint: readStsEndpoint(env, region) }

  if (dataRoleArn === undefined && allowedRoleArns.length === 0) {
    warnOfNoRole(env)
    return { kind: 'off' }
  }
  if (stsKind === 's3-compatible') checkCompatibleEndpoint(env, sts.stsEndpoint)
  else
    checkPartition(
      env,
      region,
      dataRoleArn === undefined ? allowedRoleArns : [dataRoleArn, ...allowedRoleArns],
    )
  switch (mode) {
    case 'assume-role':
      if (!env.has('BROKER_STS_MODE')) {
        env.warnings.push(
          `AWS keys are set and no cloud can reach the issuer ${issuer}, so STS is asked in assume-role mode; BROKER_STS_MODE decides when it is set`,
        )
      }
      return { kind: mode, credentials, ...sts }
    case 'web-identity':
      if (credentials.kind === 'static') {
        env.warnings.push(
          'DAEMON_ACCESS_KEY_ID and DAEMON_SECRET_ACCESS_KEY are set but not used: BROKER_STS_MODE is web-identity',
        )
      }
      return { kind: mode, ...sts }
  }
}

const STS_MODES = ['web-identity', 'assume-role'] as const

function warnOfNoRole(env: Environment): void {
  // A role that is there but malformed is a problem already.
  if (env.firstFilled(ROLES) !== undefined) return
  if (!env.has('BROKER_STS_MODE') && env.firstFilled([...KEY_IDS, ...KEY_SECRETS]) === undefined) return
  env.warnings.push(
    'BROKER_STS_MODE or static AWS keys are set, but there is no role, so AWS credentials stay off: set BROKER_DATA_ROLE_ARN or ACCOUNT_ID',
  )
}

const ROLES = [
  'BROKER_DATA_ROLE_ARN',
  'BROKER_AGENT_ROLE_ARN',
  'ACCOUNT_ID',
  'BROKER_ALLOWED_ROLE_ARNS',
] as const
const KEY_IDS = ['DAEMON_ACCESS_KEY_ID', 'BROKER_DAEMON_ACCESS_KEY_ID'] as const
const KEY_SECRETS = ['DAEMON_SECRET_ACCESS_KEY', 'BROKER_DAEMON_SECRET_ACCESS_KEY'] as const

function readCredentials(env: Environment): AwsCredentialSource {
  const idName = env.firstFilled(KEY_IDS)
  const secretName = env.firstFilled(KEY_SECRETS)
  if (idName === undefined && secretName === undefined) return { kind: 'default-chain' }
  if (idName === undefined || secretName === undefined) {
    const [missing, present] = idName === undefined ? [KEY_IDS[0], secretName] : [KEY_SECRETS[0], idName]
    env.problems.push(`${missing} is not set while ${present} is: set both or neither`)
    return { kind: 'default-chain' }
  }
  const accessKeyId = env.read(idName, parseKeyId, undefined)
  const secretAccessKey = env.read(secretName, SECRET, undefined)
  if (accessKeyId === undefined || secretAccessKey === undefined) return { kind: 'default-chain' }
  return { kind: 'static', accessKeyId, secretAccessKey }
}

const SECRET = matching(/^[\x21-\x7e]{16,128}$/, 'a secret access key: 16 to 128 characters without spaces')

const parseKeyId: Parse<string> = (text) => {
  if (!/^[A-Z0-9]{16,128}$/.test(text))
    throw new InvalidSettingError('an access key id: 16 or more upper-case letters and digits')
  // A temporary key is worth nothing without its session token, which has no variable here and would soon expire.
  if (text.startsWith('ASIA'))
    throw new InvalidSettingError('the key of an IAM user (AKIA…), not a temporary one (ASIA…)')
  return text
}

function readRegion(env: Environment): string {
  const name: Variable | undefined = env.firstFilled(['BROKER_AWS_REGION', 'AWS_REGION', 'REGION'])
  if (name === undefined) return DEFAULT_REGION
  // It becomes part of the host name that tokens are sent to.
  const region = matching(/^[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}$/, 'an AWS region, such as eu-central-1')
  return env.read(name, region, DEFAULT_REGION)
}

const DEFAULT_REGION = 'us-east-1'
