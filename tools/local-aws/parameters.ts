// The request's form parameters and their limits, as the STS API reference gives them.

import { StsError } from './errors.js'

export type Parameters = ReadonlyMap<string, string>

/** What AssumeRole and AssumeRoleWithWebIdentity both ask for. */
export interface Ask {
  roleArn: string
  roleSessionName: string
  durationSeconds: number
  policy: string | undefined
  policyArns: string[]
}

/** Parses application/x-www-form-urlencoded text. A parameter given twice has no single meaning and is refused. */
export function parseForm(text: string): Parameters {
  const parameters = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (parameters.has(name))
      throw new StsError('ValidationError', `The parameter ${name} was given more than once`)
    parameters.set(name, value)
  }
  return parameters
}

export const ROLE_ARN = /^arn:aws(?:-cn|-us-gov)?:iam::\d{12}:role\/[\w+=,.@/-]+$/
const NAME = /^[\w+=,.@-]*$/

export function readAsk(parameters: Parameters): Ask {
  const roleArn = required(parameters, 'RoleArn', 20, 2048)
  if (!ROLE_ARN.test(roleArn)) throw new StsError('ValidationError', `${shown(roleArn)} is invalid`)
  const roleSessionName = required(parameters, 'RoleSessionName', 2, 64)
  if (!NAME.test(roleSessionName))
    throw constraint('roleSessionName', 'Member must satisfy regular expression pattern: [\\w+=,.@-]*')
  return {
    roleArn,
    roleSessionName,
    durationSeconds: readDuration(parameters.get('DurationSeconds')),
    policy: readPolicy(parameters),
    policyArns: readPolicyArns(parameters),
  }
}

/** A parameter of `min` to `max` characters. The refusal does not repeat the value: it may be a token. */
export function required(parameters: Parameters, name: string, min: number, max: number): string {
  const value = parameters.get(name)
  const member = name.charAt(0).toLowerCase() + name.slice(1)
  if (value === undefined) throw constraint(member, 'Member must not be null')
  if (value.length < min) throw constraint(member, `Member must have length greater than or equal to ${min}`)
  if (value.length > max) throw constraint(member, `Member must have length less than or equal to ${max}`)
  return value
}

/** `name.member.1`, `name.member.2`, ... up to the first that is missing, each with `suffix`. */
export function members(parameters: Parameters, name: string, suffix = ''): string[] {
  const found: string[] = []
  for (;;) {
    const value = parameters.get(`${name}.member.${found.length + 1}${suffix}`)
    if (value === undefined) return found
    found.push(value)
  }
}

/** Refuses what AWS knows and this tool does not: to ignore an MFA code would be to say it was checked. */
export function refuseUnsupported(parameters: Parameters, names: readonly string[]): void {
  for (const name of parameters.keys()) {
    const unsupported = names.find((known) => name === known || name.startsWith(`${known}.`))
    if (unsupported) throw new StsError('ValidationError', `local AWS does not implement ${unsupported}`)
  }
}

export function constraint(member: string, rule: string): StsError {
  return new StsError(
    'ValidationError',
    `1 validation error detected: Value at '${member}' failed to satisfy constraint: ${rule}`,
  )
}

function readDuration(text: string | undefined): number {
  if (text === undefined) return 3600
  if (!/^\d{1,9}$/.test(text)) throw constraint('durationSeconds', 'Member must be an integer')
  const seconds = Number(text)
  if (seconds < 900)
    throw constraint('durationSeconds', 'Member must have value greater than or equal to 900')
  if (seconds > 43_200)
    throw constraint('durationSeconds', 'Member must have value less than or equal to 43200')
  return seconds
}

/** A session policy narrows what the session may do later. This tool serves no later service, so it reads the form only. */
function readPolicy(parameters: Parameters): string | undefined {
  if (!parameters.has('Policy')) return undefined
  const policy = required(parameters, 'Policy', 1, 2048)
  let document: unknown
  try {
    document = JSON.parse(policy)
  } catch {
    throw new StsError('MalformedPolicyDocument', 'The policy is not in the valid JSON format.')
  }
  if (typeof document !== 'object' || document === null || !('Statement' in document)) {
    throw new StsError('MalformedPolicyDocument', 'Syntax errors in policy: no Statement.')
  }
  return policy
}

function readPolicyArns(parameters: Parameters): string[] {
  const arns = members(parameters, 'PolicyArns', '.arn')
  if (arns.length > 10) throw constraint('policyArns', 'Member must have length less than or equal to 10')
  for (const arn of arns) {
    if (arn.length < 20 || arn.length > 2048 || !arn.startsWith('arn:'))
      throw new StsError('ValidationError', `${shown(arn)} is invalid`)
  }
  return arns
}

function shown(value: string): string {
  return value.length > 120 ? `${value.slice(0, 120)}...` : value
}
