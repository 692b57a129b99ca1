import { describe, expect, test } from '@jest/globals'

import { allowedBy } from './decide.js'
import { parsePolicy, type Policy } from './policy.js'
import type { Principal } from './principal.js'
import { type Context, matches, template } from './template.js'

const PROVIDER = 'arn:aws:iam::111122223333:oidc-provider/broker.example.com'
const ROLE = 'arn:aws:iam::111122223333:role/first'
const broker: Principal = { type: 'Federated', names: [PROVIDER] }

function statement(changes: object = {}) {
  return {
    Effect: 'Allow',
    Principal: { Federated: PROVIDER },
    Action: 'sts:AssumeRoleWithWebIdentity',
    ...changes,
  }
}

function policy(...Statement: object[]) {
  return parsePolicy({ Version: '2012-10-17', Statement }, 'trustPolicy', {
    kind: 'trust',
    issuers: ['broker.example.com'],
  })
}

function allows(policy: Policy, action: string, principal: Principal, context: Context): boolean {
  return allowedBy(policy, { action, principal, context })
}

/** Whether a policy with this condition lets the broker in, given these condition keys. */
function passes(Condition: object, context: Record<string, string[]>): boolean {
  const lowered = new Map(Object.entries(context).map(([key, values]) => [key.toLowerCase(), values]))
  return allows(policy(statement({ Condition })), 'sts:AssumeRoleWithWebIdentity', broker, lowered)
}

describe('a statement applies', () => {
  const context = new Map<string, string[]>()
  const web = 'sts:AssumeRoleWithWebIdentity'

  test('to its action and no other', () => {
    const one = policy(statement({ Action: ['sts:AssumeRoleWithWebIdentity'] }))
    expect(allows(one, web, broker, context)).toBe(true)
    expect(allows(one, 'sts:TagSession', broker, context)).toBe(false)
    expect(allows(one, 'sts:AssumeRole', broker, context)).toBe(false)
  })

  test('to its principal and no other', () => {
    const other: Principal = { type: 'Federated', names: [`${PROVIDER}/`] }
    expect(allows(policy(statement()), web, other, context)).toBe(false)
    expect(allows(policy(statement()), web, { type: 'AWS', names: [PROVIDER] }, context)).toBe(false)
  })

  test('to a role session by its role or by itself', () => {
    const session = 'arn:aws:sts::111122223333:assumed-role/first/name'
    for (const AWS of [ROLE, session]) {
      const one = policy(statement({ Principal: { AWS }, Action: 'sts:AssumeRole' }))
      expect(allows(one, 'sts:AssumeRole', { type: 'AWS', names: [ROLE, session] }, context)).toBe(true)
      expect(allows(one, 'sts:AssumeRole', { type: 'AWS', names: [`${ROLE}2`] }, context)).toBe(false)
    }
  })

  test('and a denial outweighs every permission', () => {
    const denied = statement({
      Effect: 'Deny',
      Condition: { StringEquals: { 'sts:RoleSessionName': 'evil' } },
    })
    const both = policy(statement(), denied)
    expect(allows(both, web, broker, new Map([['sts:rolesessionname', ['good']]]))).toBe(true)
    expect(allows(both, web, broker, new Map([['sts:rolesessionname', ['evil']]]))).toBe(false)
  })

  test('only when every one of its conditions holds', () => {
    const Condition = {
      StringEquals: { 'broker.example.com:aud': 'sts.amazonaws.com' },
      StringLike: { 'broker.example.com:sub': 'agentkeys:agent:0x*' },
    }
    const aud = { 'broker.example.com:aud': ['sts.amazonaws.com'] }
    expect(passes(Condition, { ...aud, 'broker.example.com:sub': ['agentkeys:agent:0x1'] })).toBe(true)
    expect(passes(Condition, { ...aud, 'broker.example.com:sub': ['agentkeys:agent:1'] })).toBe(false)
    expect(passes(Condition, { 'broker.example.com:sub': ['agentkeys:agent:0x1'] })).toBe(false)
  })
})

describe('conditions', () => {
  const name = 'sts:RoleSessionName'
  const tag = 'aws:RequestTag/wallet'
  test.each<[string, object, Record<string, string[]>, boolean]>([
    ['StringEquals, the same', { StringEquals: { [name]: ['a', 'b'] } }, { [name]: ['b'] }, true],
    ['StringEquals, another case', { StringEquals: { [name]: 'a' } }, { [name]: ['A'] }, false],
    ['StringEquals knows no wildcard', { StringEquals: { [name]: 'a*' } }, { [name]: ['ab'] }, false],
    ['StringEquals, missing', { StringEquals: { [name]: '' } }, {}, false],
    ['StringLike, a match', { StringLike: { [name]: 'agentkeys-*' } }, { [name]: ['agentkeys-'] }, true],
    [
      'StringLike, only inside',
      { StringLike: { [name]: 'agentkeys-*' } },
      { [name]: ['my-agentkeys-1'] },
      false,
    ],
    ['StringLike, missing', { StringLike: { [name]: '*' } }, {}, false],
    ['Null false, present', { Null: { [tag]: 'false' } }, { [tag]: ['0x1'] }, true],
    ['Null false, present and empty', { Null: { [tag]: 'false' } }, { [tag]: [''] }, true],
    ['Null false, missing', { Null: { [tag]: 'false' } }, {}, false],
    ['Null true, missing', { Null: { [tag]: true } }, {}, true],
    ['Null true, present', { Null: { [tag]: 'true' } }, { [tag]: ['0x1'] }, false],
    [
      'Bool true, true',
      { Bool: { 'sts:RoleAuthorizedByIdp': 'true' } },
      { 'sts:RoleAuthorizedByIdp': ['true'] },
      true,
    ],
    ['Bool true, missing', { Bool: { 'sts:RoleAuthorizedByIdp': true } }, {}, false],
    ['Bool false, missing', { Bool: { 'sts:RoleAuthorizedByIdp': 'false' } }, {}, false],
    ['a key in another case', { StringEquals: { 'STS:rolesessionNAME': 'a' } }, { [name]: ['a'] }, true],
    ['ForAllValues, a subset', all(['a', 'b']), { 'aws:TagKeys': ['a'] }, true],
    ['ForAllValues, one too many', all(['a', 'b']), { 'aws:TagKeys': ['a', 'c'] }, false],
    ['ForAllValues passes a missing key: only Null asks for presence', all(['a']), {}, true],
  ])('%s', (_, condition, context, expected) => {
    expect(passes(condition, context)).toBe(expected)
  })

  test.each<[string, string, boolean]>([
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a*', 'a\nb', true],
    ['a.c', 'abc', false],
    ['a|b', 'b', false],
    ['a|b', 'a|b', true],
    ['(a+)[b]{1}^$\\', '(a+)[b]{1}^$\\', true],
    ['', '', true],
    ['', 'a', false],
    ['?', '😀', true],
  ])('the pattern %j against %j: %j', (pattern, value, expected) => {
    expect(matches(template(pattern, true), value, new Map())).toBe(expected)
  })
})

describe('a policy is an error when it is loaded', () => {
  test.each<[string, object, string]>([
    [
      'for an unknown operator',
      { Condition: { NumericEquals: { 'sts:ExternalId': '1' } } },
      'operator NumericEquals is not one of',
    ],
    ['for a Null with IfExists', { Condition: { NullIfExists: {} } }, 'operator NullIfExists is not one of'],
    [
      'for an operator in another case',
      { Condition: { stringequals: {} } },
      'operator stringequals is not one of',
    ],
    [
      'for an unknown condition key',
      { Condition: { StringEquals: { 'aws:SourceIp': '1' } } },
      'unknown condition key',
    ],
    [
      'for a claim that IAM does not see',
      { Condition: { StringEquals: { 'broker.example.com:wallet': '1' } } },
      'unknown condition key',
    ],
    [
      "for another issuer's claim",
      { Condition: { StringEquals: { 'example.com:sub': '1' } } },
      'unknown condition key',
    ],
    [
      'for a tag condition without the tag',
      { Condition: { Null: { 'aws:RequestTag/': 'true' } } },
      'unknown condition key',
    ],
    [
      'for StringEquals on a key with many values',
      { Condition: { StringEquals: { 'aws:TagKeys': 'a' } } },
      'use ForAllValues:',
    ],
    [
      'for a Null that is neither',
      { Condition: { Null: { 'sts:ExternalId': 'no' } } },
      'Null takes true or false',
    ],
    [
      'for a Bool that is neither',
      { Condition: { Bool: { 'sts:RoleAuthorizedByIdp': 'yes' } } },
      'Bool takes true or false',
    ],
    [
      'for a policy variable',
      { Condition: { StringEquals: { 'sts:ExternalId': '${aws:x}' } } },
      '${aws:x}: unknown condition key',
    ],
    ['for a number as value', { Condition: { StringEquals: { 'sts:ExternalId': 7 } } }, 'must be a string'],
    ['for no values', { Condition: { StringEquals: { 'sts:ExternalId': [] } } }, 'must be a string'],
    ['for a list of conditions', { Condition: [] }, 'must be an object'],
    ['for an unknown action', { Action: 's3:GetObject' }, 'Action s3:GetObject must be one of'],
    ['for a wildcard action', { Action: 'sts:*' }, 'Action sts:* must be one of'],
    ['for no action', { Action: [] }, 'must be a string'],
    ['for NotAction', { NotAction: 'sts:TagSession' }, 'NotAction is not implemented'],
    ['for NotPrincipal', { NotPrincipal: {} }, 'NotPrincipal is not implemented'],
    ['for Resource', { Resource: '*' }, 'Resource is not implemented'],
    ['for a misspelt Condition', { Conditions: {} }, 'Conditions is not implemented'],
    ['for an effect that is neither', { Effect: 'allow' }, 'Effect must be Allow or Deny'],
    ['for everybody', { Principal: '*' }, 'must be an object'],
    ['for every AWS caller', { Principal: { AWS: '*' } }, 'must be the ARN of a user'],
    [
      'for a whole account',
      { Principal: { AWS: 'arn:aws:iam::111122223333:root' } },
      'must be the ARN of a user',
    ],

    [
      'for a provider that is no ARN',
      { Principal: { Federated: 'broker.example.com' } },
      'must be the ARN of an OIDC provider',
    ],
    ['for no principal', { Principal: {} }, 'must name AWS, Federated or Service'],
  ])('%s', (_, changes, message) => {
    expect(() => policy(statement(changes))).toThrow(message)
  })

  test.each<[unknown, string]>([
    [[], 'must be an object'],
    [{ Statement: [statement()] }, 'Version must be'],
    [{ Version: '2008-10-17', Statement: [statement()] }, 'Version must be'],
    [{ Version: '2012-10-17', Statement: [] }, 'must not be empty'],
    [{ Version: '2012-10-17' }, 'must be an object'],
    [{ Version: '2012-10-17', Statement: statement(), Statements: [] }, 'Statements is not implemented'],
  ])('for %j', (document, message) => {
    expect(() => parsePolicy(document, 'trustPolicy', { kind: 'trust' })).toThrow(message)
  })

  test('and the error says where', () => {
    const bad = statement({ Condition: { StringEquals: { 'aws:SourceIp': '1' } } })
    expect(() => policy(statement(), bad)).toThrow(
      'trustPolicy.Statement[1].Condition.StringEquals.aws:SourceIp: unknown',
    )
  })
})

function all(values: string[]) {
  return { 'ForAllValues:StringEquals': { 'aws:TagKeys': values } }
}
