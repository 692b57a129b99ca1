import { describe, expect, test } from '@jest/globals'

import { parseForm } from './parameters.js'
import {
  inherit,
  isSourceIdentity,
  principalTags,
  tagsOfClaims,
  tagsOfParameters,
  type SessionTags,
} from './session-tags.js'

const TAGS = 'https://aws.amazon.com/tags'
const nested = (principal_tags: unknown, transitive_tag_keys?: unknown) => ({
  [TAGS]: { principal_tags, ...(transitive_tag_keys === undefined ? {} : { transitive_tag_keys }) },
})
const flat = (key: string, value: unknown) => ({ [`${TAGS}/principal_tags/${key}`]: value })
const plain = ({ tags, transitiveKeys }: SessionTags) => ({ tags: Object.fromEntries(tags), transitiveKeys })
const tags = (entries: Record<string, string>, ...transitiveKeys: string[]): SessionTags => ({
  tags: new Map(Object.entries(entries)),
  transitiveKeys,
})
const refused = (form: () => unknown, code: string, message: string) => {
  expect(form).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
}

describe('tags in a token', () => {
  test('are none where the token says nothing', () => {
    expect(plain(tagsOfClaims({ sub: 'a' }))).toEqual({ tags: {}, transitiveKeys: [] })
  })

  test('nested, each value a list of one', () => {
    expect(plain(tagsOfClaims(nested({ wallet: ['0x1'], team: [''] }, ['wallet'])))).toEqual({
      tags: { wallet: '0x1', team: '' },
      transitiveKeys: ['wallet'],
    })
  })

  test('flattened, each value a string', () => {
    const claims = { ...flat('wallet', '0x1'), [`${TAGS}/transitive_tag_keys`]: ['wallet'] }
    expect(plain(tagsOfClaims(claims))).toEqual({ tags: { wallet: '0x1' }, transitiveKeys: ['wallet'] })
  })

  test('may have letters of any script, digits, spaces and _.:/=+-@, and be as long as the limits', () => {
    const claims = nested({ ['k'.repeat(128)]: ['ü漢 9_.:/=+-@'], long: ['v'.repeat(256)] })
    expect(tagsOfClaims(claims).tags.size).toBe(2)
    expect(tagsOfClaims(nested(Object.fromEntries(fifty()))).tags.size).toBe(50)
  })

  test.each<[string, Record<string, unknown>, string]>([
    [
      'nested and flattened at once',
      { ...nested({ a: ['1'] }), ...flat('b', '2') },
      'both nested and flattened',
    ],
    ['a nested value that is a string', nested({ a: '1' }), 'array of exactly one string'],
    ['a nested value of two', nested({ a: ['1', '2'] }), 'array of exactly one string'],
    ['an empty nested value', nested({ a: [] }), 'array of exactly one string'],
    ['a nested value that is a number', nested({ a: [1] }), 'array of exactly one string'],
    ['nested tags without principal_tags', { [TAGS]: {} }, 'principal_tags must be an object'],
    ['nested tags that are null', { [TAGS]: null }, 'must be an object'],
    [
      'a misspelt member',
      { [TAGS]: { principal_tags: {}, transitive_tags_keys: [] } },
      'transitive_tags_keys',
    ],
    ['a flattened value that is a list', flat('a', ['1']), 'must be a string'],
    ['a misspelt flattened claim', { [`${TAGS}/principal_tag/a`]: '1' }, 'is no session tag claim'],
    ['transitive keys that are a string', nested({ a: ['1'] }, 'a'), 'must be an array of strings'],
    ['transitive keys that are numbers', nested({ a: ['1'] }, [1]), 'must be an array of strings'],
    [
      'a transitive key that is no tag',
      nested({ a: ['1'] }, ['b']),
      'must be included in the requested tags',
    ],
    ['51 tags', nested({ ...Object.fromEntries(fifty()), more: ['1'] }), '50 tags, not 51'],
    ['an empty key', nested({ '': ['1'] }), '1 to 128 characters'],
    ['a key of 129 characters', nested({ ['k'.repeat(129)]: ['1'] }), '1 to 128 characters'],
    ['a value of 257 characters', nested({ a: ['v'.repeat(257)] }), 'at most 256 characters'],
    ['a quote in a value', nested({ a: ['"'] }), 'letters, digits, spaces'],
    ['a star in a value', nested({ a: ['*'] }), 'letters, digits, spaces'],
    ['a policy variable in a value', nested({ a: ['${aws:x}'] }), 'letters, digits, spaces'],
    ['a newline in a value', nested({ a: ['a\n'] }), 'letters, digits, spaces'],
    ['a backslash in a key', nested({ 'a\\': ['1'] }), 'letters, digits, spaces'],
    ['a key that starts with aws:', nested({ 'aws:a': ['1'] }), 'must not start with aws:'],
    ['a key that starts with AWS:', nested({ 'AWS:a': ['1'] }), 'must not start with aws:'],
    ['keys that differ only in case', nested({ Wallet: ['1'], wallet: ['2'] }), 'case insensitive'],
  ])('are refused for %s', (_, claims, message) => {
    refused(() => tagsOfClaims(claims), 'InvalidIdentityToken', message)
  })
})

describe('tags in a request', () => {
  const form = (parameters: Record<string, string>) =>
    tagsOfParameters(parseForm(new URLSearchParams(parameters).toString()))

  test('come as numbered members', () => {
    const parameters = {
      'Tags.member.1.Key': 'wallet',
      'Tags.member.1.Value': '0x1',
      'Tags.member.2.Key': 'team',
      'Tags.member.2.Value': '',
      'TransitiveTagKeys.member.1': 'wallet',
    }
    expect(plain(form(parameters))).toEqual({ tags: { wallet: '0x1', team: '' }, transitiveKeys: ['wallet'] })
  })

  test('are refused with the codes of a request, not those of a token', () => {
    refused(
      () => form({ 'Tags.member.1.Key': 'a', 'Tags.member.1.Value': '*' }),
      'ValidationError',
      'letters',
    )
    refused(() => form({ 'Tags.member.1.Key': 'a' }), 'ValidationError', 'needs a Key and a Value')
    const both = {
      'Tags.member.1.Key': 'a',
      'Tags.member.1.Value': '',
      'Tags.member.2.Key': 'A',
      'Tags.member.2.Value': '',
    }
    refused(() => form(both), 'InvalidParameterValue', 'case insensitive')
    refused(() => form({ 'TransitiveTagKeys.member.1': 'a' }), 'InvalidParameterValue', 'must be included')
  })
})

describe('a chained session', () => {
  test('keeps the transitive tags of its caller and loses the others', () => {
    const chained = inherit(tags({ wallet: '0x1', team: 'red' }, 'wallet'), tags({ job: 'x' }, 'job'))
    expect(plain(chained)).toEqual({ tags: { job: 'x', wallet: '0x1' }, transitiveKeys: ['wallet', 'job'] })
  })

  test('cannot set a transitive tag again, in whatever case', () => {
    const caller = tags({ wallet: '0x1' }, 'wallet')
    refused(() => inherit(caller, tags({ Wallet: '0x1' })), 'InvalidParameterValue', 'wallet is transitive')
  })
})

test("a session's tag overrides its role's, in whatever case", () => {
  const merged = principalTags(
    new Map([
      ['Wallet', 'role'],
      ['team', 'red'],
    ]),
    tags({ wallet: '0x1' }),
  )
  expect(Object.fromEntries(merged)).toEqual({ wallet: '0x1', team: 'red' })
})

test.each<[unknown, boolean]>([
  ['0xab', true],
  ['a_+=,.@-9', true],
  ['a'.repeat(64), true],
  ['a', false],
  ['a'.repeat(65), false],
  ['a b', false],
  ['ü'.repeat(4), false],
  ['aws:me', false],
  [7, false],
])('as a source identity %j is %j', (value, good) => {
  expect(isSourceIdentity(value)).toBe(good)
})

function fifty(): [string, string[]][] {
  return Array.from({ length: 50 }, (_, index) => [`key${index}`, ['v']])
}
