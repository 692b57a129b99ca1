// The evaluator against what AWS documents: IAM User Guide, "Policy evaluation logic", "Condition operators", "Set
// operators for multivalued context keys", "Variables and tags".

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { type Decision, decide, type Policies } from './decide.js'
import { parsePolicy } from './policy.js'
import type { Principal } from './principal.js'

const ACCOUNT = '111122223333'
const ROLE = `arn:aws:iam::${ACCOUNT}:role/data`
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/data/one`
const caller: Principal = { type: 'AWS', names: [ROLE, SESSION], account: ACCOUNT, session: SESSION }

const document = (...Statement: object[]) => ({ Version: '2012-10-17', Statement })
const identity = (...statements: object[]) =>
  parsePolicy(document(...statements), 'identity', { kind: 'identity' })
const resource = (...statements: object[]) =>
  parsePolicy(document(...statements), 'resource', { kind: 'resource' })
const ALLOW = { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }
const DENY = { ...ALLOW, Effect: 'Deny' }

type Keys = Record<string, string | string[]>

function ask(
  policies: Partial<Policies>,
  { keys = {}, action = 's3:GetObject', key = 'k' }: { keys?: Keys; action?: string; key?: string } = {},
): Decision {
  const context = new Map(Object.entries(keys).map(([name, value]) => [name.toLowerCase(), [value].flat()]))
  const request = { principal: caller, action, resource: `arn:aws:s3:::b/${key}`, context }
  return decide({ identity: [], sameAccount: true, ...policies }, request)
}

describe('which policies decide', () => {
  const by = (AWS: string) => resource({ ...ALLOW, Principal: { AWS } })
  const denied = resource({ ...DENY, Principal: '*' })
  test.each<[string, Partial<Policies>, Decision]>([
    ['nothing', {}, 'not allowed'],
    ['an identity policy', { identity: [identity(ALLOW)] }, 'allowed'],
    ['a bucket policy naming the role', { resource: by(ROLE) }, 'allowed'],
    ['a bucket policy naming another role', { resource: by(`${ROLE}2`) }, 'not allowed'],
    ['a bucket policy naming the account alone', { resource: by(ACCOUNT) }, 'not allowed'],
    [
      'an identity policy, and a denial of the bucket',
      { identity: [identity(ALLOW)], resource: denied },
      'denied explicitly',
    ],
    ['a permission and a denial in one policy', { identity: [identity(ALLOW, DENY)] }, 'denied explicitly'],
    ['a session policy alone', { session: identity(ALLOW) }, 'not allowed'],
    [
      'a session policy that narrows',
      { identity: [identity(ALLOW)], session: identity({ ...ALLOW, Action: 's3:PutObject' }) },
      'not allowed',
    ],
    [
      'a session policy, and the bucket naming the role',
      { session: identity({ ...ALLOW, Action: 's3:PutObject' }), resource: by(ROLE) },
      'not allowed',
    ],
    [
      'a session policy, and the bucket naming the session',
      { session: identity({ ...ALLOW, Action: 's3:PutObject' }), resource: by(SESSION) },
      'allowed',
    ],
    ['another account: identity alone', { identity: [identity(ALLOW)], sameAccount: false }, 'not allowed'],
    ['another account: bucket alone', { resource: by(ROLE), sameAccount: false }, 'not allowed'],
    [
      'another account: both',
      { identity: [identity(ALLOW)], resource: by(ACCOUNT), sameAccount: false },
      'allowed',
    ],
  ])('%s', (_, policies, expected) => {
    expect(ask(policies)).toBe(expected)
  })
})

describe('conditions', () => {
  const prefix = 's3:prefix'
  const tag = 'aws:PrincipalTag/w'
  const many = 'ses:Recipients'
  test.each<[string, object, Keys, boolean]>([
    ['StringNotEquals, missing', { StringNotEquals: { [prefix]: 'a' } }, {}, true],
    ['StringNotEquals, empty, which is the known trap', { StringNotEquals: { [tag]: '' } }, {}, true],
    ['StringNotLike, no match', { StringNotLike: { [prefix]: ['a*', 'b*'] } }, { [prefix]: 'c' }, true],
    ['StringNotLike, one match', { StringNotLike: { [prefix]: ['a*', 'b*'] } }, { [prefix]: 'bc' }, false],
    ['IfExists, missing', { StringEqualsIfExists: { [prefix]: 'a' } }, {}, true],
    ['IfExists, another', { StringEqualsIfExists: { [prefix]: 'a' } }, { [prefix]: 'b' }, false],
    ['IgnoreCase', { StringEqualsIgnoreCase: { [prefix]: 'aB' } }, { [prefix]: 'Ab' }, true],
    ['Null true, missing', { Null: { [tag]: 'true' } }, {}, true],
    ['Null true, empty', { Null: { [prefix]: 'true' } }, { [prefix]: '' }, false],
    [
      'ForAnyValue, one of them',
      { 'ForAnyValue:StringEquals': { [many]: ['a', 'b'] } },
      { [many]: ['b', 'c'] },
      true,
    ],
    ['ForAnyValue, none', { 'ForAnyValue:StringEquals': { [many]: 'a' } }, { [many]: ['b', 'c'] }, false],
    ['ForAnyValue, missing', { 'ForAnyValue:StringEquals': { [many]: 'a' } }, {}, false],
    [
      'ForAllValues, one too many',
      { 'ForAllValues:StringLike': { [many]: 'a*' } },
      { [many]: ['ab', 'b'] },
      false,
    ],
    ['ForAllValues, missing', { 'ForAllValues:StringLike': { [many]: 'a*' } }, {}, true],
    [
      'a variable',
      { StringLike: { [prefix]: 'u/${aws:PrincipalTag/w}/*' } },
      { [prefix]: 'u/A/x', [tag]: 'A' },
      true,
    ],
    [
      'a variable in another case',
      { StringLike: { [prefix]: 'u/${AWS:principaltag/W}/*' } },
      { [prefix]: 'u/A/', [tag]: 'A' },
      true,
    ],
    [
      'a variable that is missing',
      { StringLike: { [prefix]: 'u/${aws:PrincipalTag/w}/*' } },
      { [prefix]: 'u//x' },
      false,
    ],
    [
      'a variable with a default',
      { StringEquals: { [prefix]: "${aws:PrincipalTag/w, 'none'}" } },
      { [prefix]: 'none' },
      true,
    ],
    [
      'a value is no pattern',
      { StringLike: { [prefix]: '${aws:PrincipalTag/w}' } },
      { [prefix]: 'x', [tag]: '*' },
      false,
    ],
    ['${*} is a star', { StringLike: { [prefix]: 'a${*}' } }, { [prefix]: 'ab' }, false],
    [
      'ArnLike, part by part',
      { ArnLike: { 'aws:SourceArn': 'arn:aws:ses:*:1:r/*' } },
      { 'aws:SourceArn': 'arn:aws:ses:eu:1:r/x:y' },
      true,
    ],
    [
      'ArnLike, no wildcard across colons',
      { ArnLike: { 'aws:SourceArn': 'arn:aws:*:1:r' } },
      { 'aws:SourceArn': 'arn:aws:ses:eu:1:r' },
      false,
    ],
  ])('%s', (_, Condition, keys, expected) => {
    expect(ask({ identity: [identity({ ...ALLOW, Condition })] }, { keys })).toBe(
      expected ? 'allowed' : 'not allowed',
    )
  })

  test('a denial must not hang on a variable that may be missing', () => {
    const Condition = { StringNotLike: { [prefix]: '${aws:PrincipalTag/w}' } }
    expect(() => identity({ ...DENY, Condition })).toThrow('needs a default value')
  })
})

test.each([
  [{ Action: 's3:get*' }, 'allowed'],
  [{ Action: 'S3:GETOBJECT' }, 'allowed'],
  [{ Action: 's3:GetObjectVersion' }, 'not allowed'],
  [{ Action: undefined, NotAction: 's3:Put*' }, 'allowed'],
  [{ Resource: 'arn:aws:s3:::b/K' }, 'not allowed'],
  [{ Resource: undefined, NotResource: 'arn:aws:s3:::b/*' }, 'not allowed'],
])('%j', (changes, expected) => {
  const statement = Object.entries({ ...ALLOW, ...changes }).filter(([, value]) => value !== undefined)
  expect(ask({ identity: [identity(Object.fromEntries(statement))] })).toBe(expected)
})

const statement = fc.record({
  Effect: fc.constantFrom('Allow', 'Deny'),
  Action: fc.constantFrom('*', 's3:*', 's3:GetObject', 's3:PutObject'),
  Resource: fc.constantFrom('*', 'arn:aws:s3:::b/*', 'arn:aws:s3:::b/k', 'arn:aws:s3:::c/*'),
  Condition: fc.constantFrom({}, { StringLike: { 's3:prefix': 'a*' } }, { Null: { 's3:prefix': 'true' } }),
})
const statements = fc.array(statement, { minLength: 1, maxLength: 5 })

describe('properties', () => {
  test('a denial that applies wins over everything', () => {
    fc.assert(
      fc.property(statements, statements, (a, b) => {
        expect(ask({ identity: [identity(...a, DENY), identity(...b)] })).toBe('denied explicitly')
      }),
    )
  })

  test('adding a denial never allows, and removing a permission never does', () => {
    fc.assert(
      fc.property(statements, statement, (some, one) => {
        const denial = { ...one, Effect: 'Deny' }
        const [before, after] = [
          ask({ identity: [identity(...some)] }),
          ask({ identity: [identity(...some, denial)] }),
        ]
        if (before !== 'allowed') expect(after).not.toBe('allowed')
        const permission = { ...one, Effect: 'Allow' }
        if (ask({ identity: [identity(...some, permission)] }) !== 'allowed')
          expect(before).not.toBe('allowed')
      }),
    )
  })

  test('a session policy never adds to what a role may do', () => {
    fc.assert(
      fc.property(statements, statements, (role, session) => {
        const narrowed = ask({ identity: [identity(...role)], session: identity(...session) })
        if (narrowed === 'allowed') expect(ask({ identity: [identity(...role)] })).toBe('allowed')
      }),
    )
  })
})
