// Trust policies: compiled once, when they are loaded, so that nothing in them is ever skipped over. Whatever this file
// does not implement is an error then, and no policy means less here than it does at AWS.
// IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".

const TRUST_ACTIONS = [
  'sts:AssumeRole',
  'sts:AssumeRoleWithWebIdentity',
  'sts:SetSourceIdentity',
  'sts:TagSession',
] as const
export type TrustAction = (typeof TRUST_ACTIONS)[number]

const OPERATORS = ['StringEquals', 'StringLike', 'Null', 'Bool', 'ForAllValues:StringEquals'] as const
type Operator = (typeof OPERATORS)[number]

export interface Principal {
  type: 'AWS' | 'Federated'
  /** Every ARN the caller goes by: a role session is its role and itself. */
  arns: readonly string[]
}

/** Condition keys, lower-cased, with their values. A key that is not there is missing, which is not the same as empty. */
export type Context = ReadonlyMap<string, readonly string[]>

export interface TrustPolicy {
  statements: readonly Statement[]
}

interface Statement {
  effect: 'Allow' | 'Deny'
  principals: readonly { type: 'AWS' | 'Federated'; arn: string }[]
  actions: readonly TrustAction[]
  conditions: readonly Condition[]
}

interface Condition {
  operator: Operator
  /** Lower-cased: condition keys have no case. */
  key: string
  values: readonly string[]
}

/** The policy cannot be used. The message says where and what would do. */
export class TrustPolicyError extends Error {
  constructor(where: string, problem: string) {
    super(`${where}: ${problem}`)
    this.name = 'TrustPolicyError'
  }
}

/** Whether `principal` may do `action`: some statement allows it and none denies it. */
export function allows(
  policy: TrustPolicy,
  action: TrustAction,
  principal: Principal,
  context: Context,
): boolean {
  const applying = policy.statements.filter(
    ({ principals, actions, conditions }) =>
      actions.includes(action) &&
      principals.some(({ type, arn }) => type === principal.type && principal.arns.includes(arn)) &&
      conditions.every((condition) => holds(condition, context.get(condition.key))),
  )
  return (
    applying.some(({ effect }) => effect === 'Allow') && !applying.some(({ effect }) => effect === 'Deny')
  )
}

function holds({ operator, values }: Condition, actual: readonly string[] | undefined): boolean {
  switch (operator) {
    case 'Null':
      return values.includes(String(actual === undefined))
    // The trap of every ForAllValues: a missing key passes. Only Null can ask for its presence.
    case 'ForAllValues:StringEquals':
      return (actual ?? []).every((value) => values.includes(value))
    case 'StringEquals':
    case 'Bool':
      return actual !== undefined && actual.some((value) => values.includes(value))
    case 'StringLike':
      return actual !== undefined && actual.some((value) => values.some((pattern) => like(pattern, value)))
  }
}

/** IAM's wildcards: `*` any characters, `?` exactly one. Everything else stands for itself. */
export function like(pattern: string, value: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^(?:${source})$`, 'su').test(value)
}

/** Compiles a trust policy document. `issuers` are the OIDC providers' names (issuer URLs without the scheme). */
export function parseTrustPolicy(document: unknown, where: string, issuers: readonly string[]): TrustPolicy {
  const { Version: version, Statement: statement, ...rest } = object(document, where)
  refuseStrangers(rest, where, ['Id'])
  if (version !== '2012-10-17') throw new TrustPolicyError(where, 'Version must be "2012-10-17"')
  const statements = Array.isArray(statement) ? statement : [statement]
  if (statements.length === 0) throw new TrustPolicyError(where, 'Statement must not be empty')
  return {
    statements: statements.map((one: unknown, index) =>
      parseStatement(one, `${where}.Statement[${index}]`, issuers),
    ),
  }
}

function parseStatement(value: unknown, where: string, issuers: readonly string[]): Statement {
  const {
    Effect: effect,
    Principal: principal,
    Action: action,
    Condition: condition,
    ...rest
  } = object(value, where)
  refuseStrangers(rest, where, ['Sid'])
  if (effect !== 'Allow' && effect !== 'Deny')
    throw new TrustPolicyError(where, 'Effect must be Allow or Deny')
  const actions = strings(action, `${where}.Action`).map((name) => {
    const known = TRUST_ACTIONS.find((one) => one === name)
    if (!known) throw new TrustPolicyError(where, `Action ${name} must be one of ${TRUST_ACTIONS.join(', ')}`)
    return known
  })
  return {
    effect,
    principals: parsePrincipals(principal, `${where}.Principal`),
    actions,
    conditions: condition === undefined ? [] : parseConditions(condition, `${where}.Condition`, issuers),
  }
}

const PROVIDER_ARN = /^arn:aws(?:-cn|-us-gov)?:iam::\d{12}:oidc-provider\/.+$/
const CALLER_ARN =
  /^arn:aws(?:-cn|-us-gov)?:(?:iam::\d{12}:(?:user|role)\/[\w+=,.@/-]+|sts::\d{12}:assumed-role\/[\w+=,.@-]+\/[\w+=,.@-]+)$/

function parsePrincipals(value: unknown, where: string): Statement['principals'] {
  const { AWS: callers, Federated: federated, ...rest } = object(value, where)
  refuseStrangers(rest, where, [])
  const principals = [
    ...(callers === undefined
      ? []
      : strings(callers, `${where}.AWS`).map((arn) => ({ type: 'AWS' as const, arn }))),
    ...(federated === undefined
      ? []
      : strings(federated, `${where}.Federated`).map((arn) => ({ type: 'Federated' as const, arn }))),
  ]
  if (principals.length === 0) throw new TrustPolicyError(where, 'must name AWS or Federated principals')
  for (const { type, arn } of principals) {
    // An account as principal hands the decision to identity policies, and "*" to no policy at all: neither exists here.
    if (!(type === 'AWS' ? CALLER_ARN : PROVIDER_ARN).test(arn)) {
      const form = type === 'AWS' ? 'a user, role or role session' : 'an OIDC provider'
      throw new TrustPolicyError(where, `${arn} must be the ARN of ${form}`)
    }
  }
  return principals
}

function parseConditions(value: unknown, where: string, issuers: readonly string[]): Condition[] {
  return Object.entries(object(value, where)).flatMap(([name, tests]) => {
    const operator = OPERATORS.find((one) => one === name)
    if (!operator) throw new TrustPolicyError(where, `operator ${name} is not one of ${OPERATORS.join(', ')}`)
    return Object.entries(object(tests, `${where}.${name}`)).map(([key, wanted]) => {
      const condition = {
        operator,
        key: key.toLowerCase(),
        values: strings(wanted, `${where}.${name}.${key}`),
      }
      const problem = conditionProblem(condition, issuers)
      if (problem) throw new TrustPolicyError(`${where}.${name}.${key}`, problem)
      return condition
    })
  })
}

const SINGLE_KEYS = [
  'aws:FederatedProvider',
  'aws:PrincipalAccount',
  'aws:PrincipalArn',
  'sts:ExternalId',
  'sts:RoleAuthorizedByIdp',
  'sts:RoleSessionName',
  'sts:SourceIdentity',
]
const TAG_KEYS = ['aws:RequestTag/', 'aws:PrincipalTag/']
const LIST_KEYS = ['aws:TagKeys', 'sts:TransitiveTagKeys']
/** All that IAM shows of a token from an issuer of one's own. Every other claim is invisible to a trust policy. */
const ISSUER_KEYS = ['aud', 'email', 'oaud', 'sub']
const ISSUER_LIST_KEYS = ['amr']

function conditionProblem(
  { operator, key, values }: Condition,
  issuers: readonly string[],
): string | undefined {
  const isOne = (names: readonly string[]) => names.some((name) => name.toLowerCase() === key)
  const ofIssuer = (names: readonly string[]) =>
    issuers.flatMap((issuer) => names.map((name) => `${issuer}:${name}`))
  const isTag = TAG_KEYS.some((prefix) => key.startsWith(prefix.toLowerCase()) && key.length > prefix.length)
  const isList = isOne(LIST_KEYS) || isOne(ofIssuer(ISSUER_LIST_KEYS))
  if (!isTag && !isList && !isOne(SINGLE_KEYS) && !isOne(ofIssuer(ISSUER_KEYS))) {
    const known = [
      ...SINGLE_KEYS,
      ...TAG_KEYS,
      ...LIST_KEYS,
      ...ofIssuer([...ISSUER_KEYS, ...ISSUER_LIST_KEYS]),
    ]
    return `unknown condition key: use one of ${known.join(', ')}`
  }
  if (isList && operator !== 'Null' && operator !== 'ForAllValues:StringEquals') {
    return 'the key has many values: use ForAllValues:StringEquals'
  }
  if (
    (operator === 'Null' || operator === 'Bool') &&
    values.some((one) => one !== 'true' && one !== 'false')
  ) {
    return `${operator} takes true or false`
  }
  return values.some((one) => one.includes('${'))
    ? 'policy variables (${...}) are not implemented'
    : undefined
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new TrustPolicyError(where, 'must be an object')
}

function strings(value: unknown, where: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  // IAM takes a bare true or false where it means the word.
  const words = list.map((one) => (typeof one === 'boolean' ? String(one) : one))
  if (words.length > 0 && words.every((one) => typeof one === 'string')) return words
  throw new TrustPolicyError(where, 'must be a string or a list of strings')
}

function refuseStrangers(rest: Record<string, unknown>, where: string, harmless: readonly string[]): void {
  const stranger = Object.keys(rest).find((name) => !harmless.includes(name))
  if (stranger !== undefined) throw new TrustPolicyError(where, `${stranger} is not implemented`)
}
