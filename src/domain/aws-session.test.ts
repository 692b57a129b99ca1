import { expect, test } from '@jest/globals'

import { checkSessionTags, roleSessionName, sourceIdentity, walletTags } from './aws-session.js'

const WALLET = '0x00112233445566778899aabbccddeeff00112233'

test('a session is named after its mint, in 39 characters', () => {
  const name = roleSessionName('01930a5c-7d00-7abc-8def-0123456789ab')
  expect(name).toBe('ak-01930a5c-7d00-7abc-8def-0123456789ab')
  expect(name).toHaveLength(39)
})

test('a mint id that is no name for AWS is refused', () => {
  for (const mintId of ['a/b', 'a b', 'a\n', 'é', 'a*', '${aws:username}', 'x'.repeat(62)])
    expect(() => roleSessionName(mintId)).toThrow('RoleSessionName must be 2 to 64')
  expect(roleSessionName('x'.repeat(61))).toHaveLength(64)
})

test('the source identity is the wallet', () => {
  expect(sourceIdentity(WALLET)).toBe(WALLET)
  for (const name of ['', 'x', 'aws:x', 'a:b', `${WALLET}\n`])
    expect(() => sourceIdentity(name)).toThrow('SourceIdentity must be')
})

test('the wallet is a transitive session tag', () => {
  expect(walletTags(WALLET)).toEqual({
    tags: { agentkeys_user_wallet: WALLET },
    transitiveTagKeys: ['agentkeys_user_wallet'],
  })
})

test('a wallet that would be a pattern, a variable or a break in a policy is refused', () => {
  for (const wallet of [
    '0x*',
    '0x?',
    '${aws:PrincipalTag/x}',
    '0x"',
    '0x\\',
    '0x\n',
    '0x\u0000',
    'x'.repeat(257),
  ])
    expect(() => walletTags(wallet)).toThrow('not a session tag value: that of agentkeys_user_wallet')
})

test('the limits of AWS hold for any set of tags', () => {
  const tags = (entries: [string, string][]) =>
    checkSessionTags({ tags: Object.fromEntries(entries), transitiveTagKeys: [] })
  const numbered = (count: number) => Array.from({ length: count }, (_, i): [string, string] => [`k${i}`, ''])
  expect(Object.keys(tags(numbered(50)).tags)).toHaveLength(50)
  expect(() => tags(numbered(51))).toThrow('at most 50')
  expect(() =>
    tags([
      ['Wallet', 'a'],
      ['wallet', 'b'],
    ]),
  ).toThrow('differ only in case')
  expect(() => tags([['AWS:x', 'a']])).toThrow('must not begin with aws:')
  expect(() => tags([['', 'a']])).toThrow('not a session tag key')
  expect(() => tags([['k'.repeat(129), 'a']])).toThrow('not a session tag key')
  expect(tags([['k'.repeat(128), 'v'.repeat(256)]]).transitiveTagKeys).toEqual([])
  expect(() => checkSessionTags({ tags: {}, transitiveTagKeys: ['toString'] })).toThrow(
    'a transitive tag that is not set',
  )
})
