// Policies: compiled once, when they are loaded, so that nothing in them is ever skipped over. Whatever is not implemented
// here is an error then, and no policy means less here than it does at AWS.
// IAM User Guide, "IAM JSON policy elements reference".

import { condition, type Condition, parseOperator } from './condition.js'
import { keyProblem, type PolicyKind } from './condition-keys.js'
import { parsePrincipals, type PolicyPrincipal } from './principal.js'
import { type Template, template, variablesOf } from './template.js'

export interface Policy {
  statements: readonly Statement[]
}

export interface Statement {
  /** Of the document, or its place in it: for people. */
  sid: string
  effect: 'Allow' | 'Deny'
  /** None in an identity policy: it speaks of the principal it is attached to. */
  principals: readonly PolicyPrincipal[] | undefined
  actions: Choice
  /** None in a trust policy: it speaks of its role. */
  resources: Choice | undefined
  conditions: readonly Condition[]
}

/** Action or NotAction, Resource or NotResource. */
export interface Choice {
  not: boolean
  templates: readonly Template[]
}

export interface Dialect {
  kind: PolicyKind
  /** The OIDC providers' names (issuer URLs without the scheme): whose claims a trust policy may ask for. */
  issuers?: readonly string[]
}

/** The policy cannot be used. The message says where and what would do. */
export class PolicyDocumentError extends Error {
  constructor(where: string, problem: string) {
    super(`${where}: ${problem}`)
    this.name = 'PolicyDocumentError'
  }
}

/** Compiles a policy document; `where` names it in errors. */
export function parsePolicy(document: unknown, where: string, dialect: Dialect): Policy {
  const { Version: version, Statement: statement, ...rest } = object(document, where)
  refuseStrangers(rest, where, ['Id'])
  if (version !== '2012-10-17') throw new PolicyDocumentError(where, 'Version must be "2012-10-17"')
  const statements = Array.isArray(statement) ? statement : [statement]
  if (statements.length === 0) throw new PolicyDocumentError(where, 'Statement must not be empty')
  return {
    statements: statements.map((one: unknown, index) =>
      parseStatement(one, `${where}.Statement[${index}]`, dialect),
    ),
  }
}

const STATEMENT_MEMBERS: Record<PolicyKind, readonly string[]> = {
  trust: ['Sid', 'Effect', 'Principal', 'Action', 'Condition'],
  identity: ['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'],
  resource: ['Sid', 'Effect', 'Principal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'],
}

function parseStatement(value: unknown, where: string, dialect: Dialect): Statement {
  const members = object(value, where)
  refuseStrangers(members, where, STATEMENT_MEMBERS[dialect.kind])
  const { Sid: sid, Effect: effect, Condition: conditions } = members
  if (effect !== 'Allow' && effect !== 'Deny')
    throw new PolicyDocumentError(where, 'Effect must be Allow or Deny')
  return {
    sid: typeof sid === 'string' && sid !== '' ? sid : where,
    effect,
    principals:
      dialect.kind === 'identity'
        ? undefined
        : located(`${where}.Principal`, () => parsePrincipals(members['Principal'], dialect.kind)),
    actions: parseChoice(members, where, 'Action', dialect),
    resources: dialect.kind === 'trust' ? undefined : parseChoice(members, where, 'Resource', dialect),
    conditions: conditions === undefined ? [] : parseConditions(conditions, `${where}.Condition`, dialect),
  }
}

const TRUST_ACTIONS = [
  'sts:AssumeRole',
  'sts:AssumeRoleWithWebIdentity',
  'sts:SetSourceIdentity',
  'sts:TagSession',
]

function parseChoice(
  members: Record<string, unknown>,
  where: string,
  name: 'Action' | 'Resource',
  dialect: Dialect,
): Choice {
  const not = members[`Not${name}`] !== undefined
  if (not && members[name] !== undefined)
    throw new PolicyDocumentError(where, `use ${name} or Not${name}, not both`)
  const element = `${where}.${not ? 'Not' : ''}${name}`
  const texts = strings(members[not ? `Not${name}` : name], element)
  for (const text of texts) {
    const problem = name === 'Action' ? actionProblem(text, dialect.kind) : resourceProblem(text)
    if (problem !== undefined) throw new PolicyDocumentError(element, problem)
  }
  // The names of actions have no case.
  const written = name === 'Action' ? texts.map((text) => text.toLowerCase()) : texts
  return { not, templates: written.map((text) => compiled(text, element, dialect)) }
}

function actionProblem(action: string, kind: PolicyKind): string | undefined {
  if (kind === 'trust')
    return TRUST_ACTIONS.includes(action)
      ? undefined
      : `Action ${action} must be one of ${TRUST_ACTIONS.join(', ')}`
  return action === '*' || /^[a-z0-9-]+:[\w*?]+$/i.test(action) ? undefined : `${action} is no action`
}

function resourceProblem(resource: string): string | undefined {
  return resource === '*' || /^arn:/.test(resource) ? undefined : `${resource} must be "*" or an ARN`
}

function compiled(text: string, where: string, { kind, issuers = [] }: Dialect): Template {
  const pieces = located(where, () => template(text, true))
  for (const { key } of variablesOf(pieces))
    refuseKey(`${where} \${${key}}`, keyProblem(kind, key, issuers, false))
  return pieces
}

function parseConditions(value: unknown, where: string, { kind, issuers = [] }: Dialect): Condition[] {
  return Object.entries(object(value, where)).flatMap(([name, tests]) => {
    const operator = located(where, () => parseOperator(name))
    const isForMany = operator.quantifier !== undefined || operator.operator === 'Null'
    return Object.entries(object(tests, `${where}.${name}`)).map(([key, wanted]) => {
      const place = `${where}.${name}.${key}`
      refuseKey(place, keyProblem(kind, key, issuers, isForMany))
      const values = strings(wanted, place)
      const parsed = located(place, () => condition(operator, key, values))
      for (const variable of parsed.values.flatMap(variablesOf))
        refuseKey(`${place} \${${variable.key}}`, keyProblem(kind, variable.key, issuers, false))
      return parsed
    })
  })
}

function refuseKey(where: string, problem: string | undefined): void {
  if (problem !== undefined) throw new PolicyDocumentError(where, problem)
}

/** What `read` throws, with the place in the document. */
function located<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new PolicyDocumentError(where, (error as Error).message)
  }
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new PolicyDocumentError(where, 'must be an object')
}

function strings(value: unknown, where: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  // IAM takes a bare true or false where it means the word.
  const words = list.map((one) => (typeof one === 'boolean' ? String(one) : one))
  if (words.length > 0 && words.every((one) => typeof one === 'string')) return words
  throw new PolicyDocumentError(where, 'must be a string or a list of strings')
}

function refuseStrangers(members: Record<string, unknown>, where: string, known: readonly string[]): void {
  const stranger = Object.keys(members).find((name) => !known.includes(name))
  if (stranger !== undefined) throw new PolicyDocumentError(where, `${stranger} is not implemented`)
}
