import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder, type Mint, ROLE_ARN } from '../../../test/support/ledger-builder.js'

import { type GrantCreated, Grants } from './grants.js'
import { verifyLedger } from './verify.js'

const AUDIENCE = 'sts.amazonaws.com'
const grantId = (n: number): string => `grn-0196f1de-0000-7000-8000-00000000000${n}`

function granted(ledger: LedgerBuilder, { wallet }: Mint, change: Partial<GrantCreated> = {}): LedgerBuilder {
  const expiresAt = new Date(ledger.now.getTime() + 3_600_000).toISOString()
  const fixed = { grantId: grantId(1), wallet, by: 'operator', expiresAt }
  const what = { actions: ['oidc_jwt' as const], resources: [AUDIENCE] }
  return ledger.append({ type: 'GrantCreated', data: { ...fixed, ...what, ...change } })
}

const used = (ledger: LedgerBuilder, mint: Mint, n = 1): LedgerBuilder =>
  ledger.session(mint).append({ type: 'GrantUsed', data: { ...mint, grantId: grantId(n) } })

const revoked = (ledger: LedgerBuilder, by = 'operator'): LedgerBuilder =>
  ledger.append({ type: 'GrantRevoked', data: { grantId: grantId(1), by } })

/** Entries 0 to 3 open the ledger; what `then` appends begins at 4. */
function findingsAfter(then: (ledger: LedgerBuilder, mint: Mint) => unknown): [number, string][] {
  const ledger = LedgerBuilder.opened()
  then(ledger, ledger.mint())
  return verifyLedger(ledger.texts).findings.map(({ index, kind }) => [index, kind])
}

const again = (ledger: LedgerBuilder, { wallet }: Mint): Mint => ledger.mint(wallet)

describe('the verifier', () => {
  test.each<[string, (ledger: LedgerBuilder, mint: Mint) => unknown, [number, string][]]>([
    ['a use', (l, m) => used(granted(l, m), m).jwt(m), []],
    ['a use of no grant', (l, m) => used(l, m).jwt(m), [[5, 'grant-unknown']]],
    ['a use of a revoked one', (l, m) => used(revoked(granted(l, m)), m).jwt(m), [[7, 'grant-unknown']]],
    [
      'one use too many',
      (l, m) => used(used(granted(l, m, { uses: 1 }), m).jwt(m), again(l, m)),
      [[9, 'grant-used-up']],
    ],
    [
      'a use of an expired one',
      (l, m) => used(granted(l, m, { expiresAt: l.now.toISOString() }), m).jwt(m),
      [[6, 'grant-expired']],
    ],
    [
      'a use by another wallet',
      (l, m) => {
        const other = l.mint()
        used(granted(l, m), other).jwt(other)
      },
      [[7, 'outside-grant']],
    ],
    [
      'a use by another agent',
      (l, m) => used(granted(l, m, { agent: 'crawler' }), m).jwt(m),
      [[7, 'outside-grant']],
    ],
    [
      'a use for another role',
      (l, m) => used(granted(l, m), m).jwt(m, { roleArn: ROLE_ARN }),
      [[7, 'outside-grant']],
    ],
    [
      'a use for another kind of mint',
      (l, m) => used(granted(l, m, { resources: [ROLE_ARN] }), m).stsJwt(m),
      [[7, 'outside-grant']],
    ],
    [
      'two uses in one mint',
      (l, m) =>
        used(granted(l, m), m)
          .append({ type: 'GrantUsed', data: { ...m, grantId: grantId(1) } })
          .jwt(m),
      [[7, 'grant-out-of-turn']],
    ],
    ['a grant created twice', (l, m) => granted(granted(l, m), m), [[5, 'grant-out-of-turn']]],
    ['one revoked twice', (l, m) => revoked(revoked(granted(l, m))), [[6, 'grant-out-of-turn']]],
    [
      'one revoked by a stranger',
      (l, m) => revoked(granted(l, m), `0x${'9'.repeat(40)}`),
      [[5, 'grant-out-of-turn']],
    ],
    [
      'one that a wallet makes from nothing',
      (l, m) => granted(l, m, { by: m.wallet }),
      [[4, 'grant-out-of-turn']],
    ],
    ['one without resources', (l, m) => granted(l, m, { resources: [] }), [[4, 'wrong-shape']]],
  ])('%s', (_, then, findings) => expect(findingsAfter(then)).toEqual(findings))

  test.each<[string, Partial<GrantCreated>, [number, string][]]>([
    ['narrower', {}, []],
    ['for longer', { expiresAt: '2030-01-01T00:00:00Z' }, [[5, 'grant-out-of-turn']]],
    ['for more', { resources: [AUDIENCE, ROLE_ARN] }, [[5, 'grant-out-of-turn']]],
    ['for another kind', { actions: ['aws_creds'] }, [[5, 'grant-out-of-turn']]],
  ])('a grant that is passed on %s', (_, change, findings) => {
    const ledger = LedgerBuilder.opened()
    const [parent, child] = [ledger.mint(), ledger.mint()]
    const expiresAt = new Date(ledger.now.getTime() + 60_000).toISOString()
    granted(ledger, parent, { expiresAt })
    granted(ledger, child, { grantId: grantId(2), by: parent.wallet, from: grantId(1), expiresAt, ...change })
    expect(verifyLedger(ledger.texts).findings.map(({ index, kind }) => [index, kind])).toEqual(findings)
  })

  test('a use of a grant that was passed on uses up the one it comes from', () => {
    const ledger = LedgerBuilder.opened()
    const [parent, child] = [ledger.mint(), ledger.mint()]
    const expiresAt = new Date(ledger.now.getTime() + 60_000).toISOString()
    granted(ledger, parent, { expiresAt, uses: 1 })
    granted(ledger, child, { grantId: grantId(2), by: parent.wallet, from: grantId(1), expiresAt })
    used(ledger, child, 2).jwt(child)
    used(ledger, parent)
    expect(verifyLedger(ledger.texts).findings).toMatchObject([{ index: 10, kind: 'grant-used-up' }])
  })
})

describe('values are compared as they are', () => {
  const wallet = `0x${'a'.repeat(40)}`
  const at = Date.parse('2026-11-27T12:00:00Z')
  const grantFor = (resources: string[], agent?: string): Grants =>
    new Grants([
      {
        ...{ grantId: grantId(1), wallet, actions: ['oidc_jwt'], resources, by: 'operator', used: 0 },
        ...{ revoked: false, expiresAt: '2026-11-27T13:00:00Z', ...(agent === undefined ? {} : { agent }) },
      },
    ])
  const ask = { wallet, agent: undefined, action: 'oidc_jwt' as const }

  test.each(['*', '?', 'api.*', '"', 'Role::"x"', '${aws:username}', 'аpi.example.com', 'api.example.com '])(
    'a grant for %j is for that and nothing else',
    (resource) => {
      const grants = grantFor([resource], 'crawler*')
      for (const asked of ['api.example.com', 'x', ''])
        for (const agent of ['crawler', 'crawler1'])
          expect(grants.covering({ ...ask, agent, resources: [asked] }, at)).toBeUndefined()
      expect(grants.covering({ ...ask, agent: 'crawler*', resources: [resource] }, at)).toBeDefined()
    },
  )

  test.each(['*', '?', '${x}', 'Wallet::"0x"'])('an ask for %j gets no other grant', (resource) => {
    expect(grantFor(['api.example.com']).covering({ ...ask, resources: [resource] }, at)).toBeUndefined()
  })
})
