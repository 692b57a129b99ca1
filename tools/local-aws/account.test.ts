import { describe, expect, test } from '@jest/globals'

import { isLoopback, isWebUrl, parseAccount, type AccountConfig } from './account.js'
import { DATA_ROLE_ARN, USER_KEY, defaultAccount } from './default-account.js'

const good = () => defaultAccount('https://broker.example.com/path')

test('the default account is one provider, one role and one user', () => {
  const { providers, roles, users } = parseAccount(JSON.parse(JSON.stringify(good())))
  expect(providers).toEqual([
    {
      arn: 'arn:aws:iam::111122223333:oidc-provider/broker.example.com/path',
      url: 'https://broker.example.com/path',
      name: 'broker.example.com/path',
      account: '111122223333',
      clientIds: ['sts.amazonaws.com'],
    },
  ])
  expect(roles.get(DATA_ROLE_ARN)).toMatchObject({ name: 'agentkeys-data-role', maxSessionDuration: 3600 })
  expect([...users.keys()]).toEqual([USER_KEY.accessKeyId])
})

describe('a configuration is refused', () => {
  const provider = (changes: object) => (config: AccountConfig) => ({
    ...config,
    providers: [{ ...config.providers[0], ...changes }],
  })
  const role = (changes: object) => (config: AccountConfig) => ({
    ...config,
    roles: [{ ...config.roles[0], ...changes }],
  })
  const user = (changes: object) => (config: AccountConfig) => ({
    ...config,
    users: [{ ...config.users[0], ...changes }],
  })

  test.each<[string, (config: AccountConfig) => unknown, string]>([
    ['that is a list', () => [], 'config must be an object'],
    ['without roles', ({ roles: _, ...config }) => config, 'config.roles is missing'],
    ['with a stranger in it', (config) => ({ ...config, tables: [] }), 'config.tables is unknown'],
    [
      'with an account of eleven digits',
      provider({ account: '11112222333' }),
      'providers[0].account must be 12 digits',
    ],
    [
      'with an issuer on plain http',
      provider({ url: 'http://broker.example.com' }),
      'providers[0].url must be https',
    ],
    [
      'with an issuer that has a query',
      provider({ url: 'https://broker.example.com?a=b' }),
      'providers[0].url must be https',
    ],
    [
      'with an issuer of 256 characters',
      provider({ url: `https://a/${'b'.repeat(246)}` }),
      'at most 255 characters',
    ],
    ['with no client id', provider({ clientIds: [] }), '1 to 100 entries'],
    ['with 101 client ids', provider({ clientIds: Array(101).fill('a') }), '1 to 100 entries'],
    ['with an empty client id', provider({ clientIds: [''] }), '1 to 255 characters each'],
    [
      'with a thumbprint, which it would not check',
      provider({ thumbprints: [] }),
      'providers[0].thumbprints is unknown',
    ],
    [
      'with the same provider twice',
      (config) => ({ ...config, providers: [...config.providers, ...config.providers] }),
      'twice',
    ],
    [
      'with a role that is no ARN',
      role({ arn: 'agentkeys-data-role' }),
      'roles[0].arn must be the ARN of a role',
    ],
    ['with a role of 59 minutes', role({ maxSessionDuration: 3540 }), '3600 to 43200 seconds'],
    ['with a role of 13 hours', role({ maxSessionDuration: 46_800 }), '3600 to 43200 seconds'],
    ['with a duration in words', role({ maxSessionDuration: '3600' }), '3600 to 43200 seconds'],
    ['with a role tag that is a list', role({ tags: { a: ['1'] } }), 'roles[0].tags.a must be a string'],
    ['with a trust policy that is none', role({ trustPolicy: {} }), 'roles[0].trustPolicy: Version'],
    [
      'with the same role twice',
      (config) => ({ ...config, roles: [...config.roles, ...config.roles] }),
      'twice',
    ],
    ['with a user that is a role', user({ arn: DATA_ROLE_ARN }), 'users[0].arn must be the ARN of a user'],
    [
      'with a session key for a user',
      user({ accessKeyId: 'ASIAIOSFODNN7EXAMPLE' }),
      'users[0].accessKeyId must be AKIA',
    ],
    [
      'with a short secret',
      user({ secretAccessKey: 'secret' }),
      'users[0].secretAccessKey must be 16 to 128',
    ],
  ])('%s', (_, change, message) => {
    expect(() => parseAccount(change(good()))).toThrow(message)
  })

  test('without repeating the secret', () => {
    expect(() => parseAccount(user({ secretAccessKey: 'my secret' })(good()))).not.toThrow('my secret')
  })
})

test.each([
  ['https://a.example', true],
  ['http://127.0.0.1:8091', true],
  ['http://[::1]:8091', true],
  ['http://localhost', true],
  ['http://127.0.0.1.example.com', false],
  ['http://a.example', false],
  ['https://user@a.example', false],
  ['https://a.example#b', false],
  ['ftp://a.example', false],
  ['a.example', false],
])('%s may be fetched: %j', (url, expected) => {
  expect(isWebUrl(url)).toBe(expected)
})

test('a URL with Latin-1 letters may be fetched however often one was asked about', () => {
  const told = Array.from({ length: 20_000 }, () => isWebUrl('https://bücher.example'))
  expect(new Set(told)).toEqual(new Set([true]))
})

test.each(['127.0.0.1', '127.255.0.9', 'localhost', '::1', '[::1]'])('%s is loopback', (host) => {
  expect(isLoopback(host)).toBe(true)
})

test.each(['0.0.0.0', '::', '10.0.0.1', '127.example.com', '127.0.0.1.example.com', ''])(
  '%j is not loopback',
  (host) => {
    expect(isLoopback(host)).toBe(false)
  },
)
