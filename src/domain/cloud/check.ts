// What is wrong with the policies of an account: over-broad trust, and isolation that is not there. The isolation is not
// read off the text: the policies are evaluated, so that a permission counts wherever it stands.

import { decide } from '../iam/decide.js'
import { parsePolicy, type Policy } from '../iam/policy.js'
import type { Principal } from '../iam/principal.js'
import { WALLET_TAG } from '../mint.js'

/** As they are at AWS. */
export interface DeployedPolicies {
  issuer: string
  roleArn: string
  bucket: string
  trust: unknown
  rolePolicies: unknown[]
  bucketPolicy: unknown
}

const A = `0x${'a1'.repeat(20)}`
const B = `0x${'b2'.repeat(20)}`

interface Probe {
  says: string
  action: string
  key?: string
  prefix?: string
  tag?: string | undefined
  allowed: boolean
}

const OBJECTS = ['s3:GetObject', 's3:PutObject', 's3:DeleteObject']

const PROBES: readonly Probe[] = [
  { says: 'list its own prefix', action: 's3:ListBucket', prefix: `users/${A}/`, tag: A, allowed: true },
  ...OBJECTS.flatMap((action): Probe[] => [
    { says: `${action} of its own`, action, key: `users/${A}/x`, tag: A, allowed: true },
    { says: `${action} of another wallet's`, action, key: `users/${B}/x`, tag: A, allowed: false },
    {
      says: `${action} under users/<wallet>-backup/`,
      action,
      key: `users/${A}-backup/x`,
      tag: A,
      allowed: false,
    },
    { says: `${action} of inbound/`, action, key: 'inbound/x', tag: A, allowed: false },
    { says: `${action} elsewhere in the bucket`, action, key: 'x', tag: A, allowed: false },
    { says: `${action} without a wallet tag`, action, key: `users/${A}/x`, tag: undefined, allowed: false },
  ]),
  ...[`users/${B}/`, `users/${A}-backup/`, `users/${A}`, 'users/', 'inbound/', '', undefined].map(
    (prefix): Probe => ({
      says: prefix === undefined ? 'list without a prefix' : `list ${JSON.stringify(prefix)}`,
      action: 's3:ListBucket',
      ...(prefix === undefined ? {} : { prefix }),
      tag: A,
      allowed: false,
    }),
  ),
  { says: 'change the bucket policy', action: 's3:PutBucketPolicy', tag: A, allowed: false },
]

/** One line for each problem; none: the policies hold. A document that cannot be evaluated in full is a problem. */
export function checkPolicies(deployed: DeployedPolicies): string[] {
  const provider = deployed.issuer.replace(/^https?:\/\//, '')
  return [
    ...attempt(() => trustProblems(deployed.trust, provider)),
    ...attempt(() => isolationProblems(deployed)),
  ]
}

function attempt(check: () => string[]): string[] {
  try {
    return check()
  } catch (error) {
    return [(error as Error).message]
  }
}

function isolationProblems({ roleArn, bucket, rolePolicies, bucketPolicy }: DeployedPolicies): string[] {
  const identity = rolePolicies.map((one, index) =>
    parsePolicy(one, `rolePolicies[${index}]`, { kind: 'identity' }),
  )
  const resource =
    bucketPolicy === undefined ? undefined : parsePolicy(bucketPolicy, 'bucketPolicy', { kind: 'resource' })
  return PROBES.filter((probe) => may(probe, { identity, resource, roleArn, bucket }) !== probe.allowed).map(
    ({ says, allowed }) =>
      allowed
        ? `an agent may not ${says}: it cannot do its work`
        : `an agent may ${says}: the wallets are not isolated. Strip S3 from the role's own policies, ` +
          `and let the bucket policy allow users/\${aws:PrincipalTag/${WALLET_TAG}}/* alone`,
  )
}

interface Situation {
  identity: readonly Policy[]
  resource: Policy | undefined
  roleArn: string
  bucket: string
}

function may(
  { action, key, prefix, tag }: Probe,
  { identity, resource, roleArn, bucket }: Situation,
): boolean {
  const account = roleArn.split(':')[4] ?? ''
  const context = new Map([
    ['aws:principalarn', [roleArn]],
    ['aws:principalaccount', [account]],
  ])
  if (tag !== undefined) context.set(`aws:principaltag/${WALLET_TAG}`, [tag])
  if (prefix !== undefined) context.set('s3:prefix', [prefix])
  const principal: Principal = { type: 'AWS', names: [roleArn], account }
  const arn = `arn:aws:s3:::${bucket}${key === undefined ? '' : `/${key}`}`
  const policies = { identity, resource, sameAccount: true }
  return decide(policies, { principal, action, resource: arn, context }) === 'allowed'
}

/** Every statement that lets a token in must ask for audience, subject, the wallet tag and the role in the token. */
function trustProblems(document: unknown, provider: string): string[] {
  parsePolicy(document, 'trust', { kind: 'trust', issuers: [provider] })
  const { Statement } = document as { Statement: TrustStatement | TrustStatement[] }
  return [Statement]
    .flat()
    .filter(
      ({ Effect, Action }) => Effect === 'Allow' && [Action].flat().includes('sts:AssumeRoleWithWebIdentity'),
    )
    .flatMap(({ Sid = 'a statement', Condition = {} }) =>
      conditionProblems(Condition, provider).map((one) => `trust: ${Sid}: ${one}`),
    )
}

interface TrustStatement {
  Sid?: string
  Effect: string
  Action: string | string[]
  Condition?: Record<string, Record<string, unknown>>
}

function conditionProblems(condition: Record<string, Record<string, unknown>>, provider: string): string[] {
  const values = (operators: readonly string[], wanted: string) =>
    operators.flatMap((operator) =>
      Object.entries(condition[operator] ?? {})
        .filter(([key]) => key.toLowerCase() === wanted.toLowerCase())
        .flatMap(([, value]) => [value].flat().map(String)),
    )
  const problems: string[] = []
  const subjects = values(['StringEquals', 'StringLike'], `${provider}:sub`)
  const audiences = values(['StringEquals'], `${provider}:aud`)
  if (audiences.length !== 1 || audiences[0] !== 'sts.amazonaws.com')
    problems.push(`StringEquals ${provider}:aud must be sts.amazonaws.com`)
  if (subjects.length === 0 || subjects.some((one) => !one.startsWith('agentkeys:agent:0x')))
    problems.push(`${provider}:sub must be asked for, and begin with agentkeys:agent:0x`)
  if (values(['Null'], `aws:RequestTag/${WALLET_TAG}`)[0] !== 'false')
    problems.push(`Null aws:RequestTag/${WALLET_TAG} must be "false": a missing tag passes every other test`)
  if (values(['Bool'], 'sts:RoleAuthorizedByIdp')[0] !== 'true')
    problems.push('Bool sts:RoleAuthorizedByIdp must be "true"')
  return problems
}
