import { expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../../test/support/ledger-builder.js'

import type { Json } from './canonical.js'
import type { EventType } from './events.js'
import { schemaProblem, unknownValue } from './event-schemas.js'

const ledger = LedgerBuilder.opened()
const mint = ledger.mint()
const mintWallet = { kind: 'wallet', target: mint.wallet } as const
ledger
  .session(mint, { agent: 'claude' })
  .scoped(mint)
  .stsJwt(mint)
  .credsMinted(mint)
  .credsRequested(mint)
  .credsFailed(mint)
ledger.refused(mint, 'role-not-allowed', { detail: 'x' }).refusalsCounted().retireKey().revokeKey()
ledger.adopt([[ledger.kid, 'revoked']])
ledger.cutOff(mintWallet, { reason: 'x' }).restore(mintWallet)
const samples = ledger.entries.map(({ entry }) => ({ type: entry.type as EventType, data: entry.data }))

test('the builder makes one of each event, and each has its shape', () => {
  expect(new Set(samples.map(({ type }) => type)).size).toBe(17)
  expect(samples.map(({ type, data }) => schemaProblem(type, data))).toEqual(samples.map(() => undefined))
})

const PARENT = { wallet: `0x${'a'.repeat(40)}`, tokenSha256: 'a'.repeat(64) }

const OPTIONAL = [
  ...['agent', 'signature', 'roleArn of JwtIssued', 'detail of MintRefused'],
  'reason of AccessCutOff',
]

test('each member must be there, unless it is optional, and be of its type', () => {
  for (const { type, data } of samples) {
    for (const member of Object.keys(data)) {
      const { [member]: _, ...without } = data
      const optional = OPTIONAL.includes(member) || OPTIONAL.includes(`${member} of ${type}`)
      const [missing, wrong] = [schemaProblem(type, without), schemaProblem(type, { ...data, [member]: [0] })]
      expect({ type, member, missing: missing === undefined, wrong: wrong === undefined }).toEqual({
        ...{ type, member, missing: optional, wrong: false },
      })
    }
  }
})

test('no event has a member more', () => {
  for (const { type, data } of samples) {
    for (const extra of ['note', '__proto__', 'constructor']) {
      const more = JSON.parse(JSON.stringify(data).replace(/\}$/, `,"${extra}":1}`)) as {
        [member: string]: Json
      }
      expect({ type, extra, fine: schemaProblem(type, more) === undefined }).toEqual({
        type,
        extra,
        fine: false,
      })
    }
  }
})

test.each<[EventType, string, Json[], Json[]]>([
  [
    'SessionValidated',
    'wallet',
    [],
    [`0x${'A'.repeat(40)}`, `0x${'a'.repeat(39)}`, `0x${'a'.repeat(40)}\n`, ` 0x${'a'.repeat(40)}`],
  ],
  [
    'SessionValidated',
    'mintId',
    [],
    [
      '0193A000-0000-7000-8000-000000000000',
      '0193a000-0000-4000-8000-000000000000',
      '0193a000-0000-7000-c000-000000000000',
    ],
  ],
  ['SessionValidated', 'tokenSha256', [], ['A'.repeat(64), 'a'.repeat(63)]],
  ['SessionValidated', 'agent', ['x'], ['', null]],
  ['SessionScoped', 'readOnly', [true, false], [0, 'true']],
  [
    'SessionScoped',
    'services',
    [[], ['aws', 'api.example.com']],
    ['aws', [''], ['a b'], ['a'.repeat(65)], Array(65).fill('aws')],
  ],
  [
    'SessionScoped',
    'parents',
    [[]],
    [[{ wallet: `0x${'a'.repeat(40)}` }], [`0x${'a'.repeat(40)}`], Array(9).fill(PARENT)],
  ],
  ['MintRefused', 'reason', ['role-not-allowed', 'because'], ['toString', '']],
  ['MintRefused', 'kind', ['oidc_jwt', 'aws_creds', 'gcp_token'], ['', 7]],
  ['JwtIssued', 'purpose', ['oidc_jwt', 'sts', 'both'], ['a b']],
  ['JwtIssued', 'iat', [0], [-1, '1', null]],
  [
    'JwtIssued',
    'roleArn',
    ['arn:aws-us-gov:iam::123456789012:role/path/name'],
    ['arn:aws:iam::123:role/x', 'arn:aws:iam::123456789012:user/x'],
  ],
  ['CredsMinted', 'durationSeconds', [900, 43_200], [899, 43_201, '900']],
  [
    'CredsMinted',
    'expiresAt',
    ['2026-11-20T12:00:00Z', '2026-11-20T12:00:00.000Z'],
    ['2026-02-30T12:00:00Z', '2026-11-20', '2026-11-20T12:00:00+00:00'],
  ],
  ['CredsMinted', 'accessKeyId', ['ASIAIOSFODNN7EXAMPLE'], ['short', 'ASIA IOSFODNN7EXAMPLE']],
  ['CredsMinted', 'roleSessionName', ['a@b'], ['a b', 'a', 'x'.repeat(65)]],
  ['CredsMintFailed', 'code', ['timeout', 'oops'], ['hasOwnProperty']],
  ['RefusalsCounted', 'counts', [{}, { a: 1 }], [{ a: 0 }, { a: -1 }, { a: '1' }, []]],
  ['SigningKeyPublished', 'alg', [], ['RS256']],
  [
    'LedgerOpened',
    'vkey',
    [],
    ['broker.example.com/ledger+00000000+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4', ''],
  ],
])('%s: %s may be %j and not %j', (type, member, good, bad) => {
  const { data } = samples.find((sample) => sample.type === type)!
  const accepted = (value: Json): boolean => schemaProblem(type, { ...data, [member]: value }) === undefined
  expect([good.map(accepted), bad.map(accepted)]).toEqual([good.map(() => true), bad.map(() => false)])
})

test('of a value that a later version may have added, the member is named', () => {
  expect(samples.map(({ type, data }) => unknownValue(type, data))).toEqual(samples.map(() => undefined))
  const named = (type: EventType, member: string, value: string): string | undefined =>
    unknownValue(type, { ...samples.find((sample) => sample.type === type)!.data, [member]: value })
  expect(named('MintRefused', 'reason', 'because')).toBe('reason')
  expect(named('MintRefused', 'kind', 'gcp_token')).toBe('kind')
  expect(named('JwtIssued', 'purpose', 'both')).toBe('purpose')
  expect(named('CredsMintFailed', 'code', 'constructor')).toBe('code')
})

test('a published key never has its private half', () => {
  const { data } = samples.find((sample) => sample.type === 'SigningKeyPublished')!
  const jwk = { ...(data.jwk as object), d: 'x'.repeat(43) }
  expect(schemaProblem('SigningKeyPublished', { ...data, jwk })).toBe(
    'jwk must be the public half of an ES256 key, a point of P-256, and nothing else',
  )
})

test('a published key is a point of P-256, in one spelling', () => {
  const { data } = samples.find((sample) => sample.type === 'SigningKeyPublished')!
  const jwk = data.jwk as { x: string; y: string }
  const last = jwk.y.slice(-1)
  // The last character of 43 holds two bits that belong to no byte.
  const respelt = jwk.y.slice(0, -1) + String.fromCharCode(last.charCodeAt(0) + 1)
  for (const other of [
    { x: jwk.y, y: jwk.x },
    { y: 'A'.repeat(43) },
    { x: '_'.repeat(42) + '8' },
    { y: respelt },
  ])
    expect(schemaProblem('SigningKeyPublished', { ...data, jwk: { ...jwk, ...other } })).toMatch(
      /^jwk must be/,
    )
})
