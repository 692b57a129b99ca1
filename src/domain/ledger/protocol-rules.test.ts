import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder, ROLE_ARN, type Mint } from '../../../test/support/ledger-builder.js'

import type { EventOf } from './events.js'
import { type Finding } from './findings.js'
import { ProtocolChecker } from './protocol-rules.js'
import { verifyLedger } from './verify.js'

/** Entries 0 to 3 open the ledger; what `then` appends begins at 4. */
function findingsAfter(then: (ledger: LedgerBuilder, mint: Mint) => unknown): [number, string][] {
  const ledger = LedgerBuilder.opened()
  then(ledger, ledger.mint())
  return verifyLedger(ledger.texts).findings.map(({ index, kind }) => [index, kind])
}

const otherWallet = `0x${'9'.repeat(40)}`
const otherRole = 'arn:aws:iam::123456789012:role/administrator'

describe('a mint', () => {
  test('for a JWT is a session and the JWT', () => {
    expect(findingsAfter((ledger) => ledger.oidcMint())).toEqual([])
  })

  test('for AWS credentials is a session, a JWT for STS, and the outcome', () => {
    expect(findingsAfter((ledger) => ledger.awsMint())).toEqual([])
    expect(findingsAfter((ledger, mint) => ledger.session(mint).stsJwt(mint).credsFailed(mint))).toEqual([])
  })

  test('in assume-role mode announces itself without a JWT', () => {
    expect(
      findingsAfter((ledger, mint) => ledger.session(mint).credsRequested(mint).credsMinted(mint)),
    ).toEqual([])
    expect(
      findingsAfter((ledger, mint) => ledger.session(mint).credsRequested(mint).credsFailed(mint)),
    ).toEqual([])
  })

  test('may be refused, and refusals without a session are counted', () => {
    expect(findingsAfter((ledger) => ledger.refused().refusalsCounted())).toEqual([])
  })

  test('that a crash left without an outcome is counted, and is no finding', () => {
    const ledger = LedgerBuilder.opened()
    const mint = ledger.mint()
    const verdict = verifyLedger(ledger.awsMint().session(mint).stsJwt(mint).oidcMint().texts)
    expect(verdict).toMatchObject({ ok: true, counts: { unanswered: 1 } })
  })

  test('may interleave with others', () => {
    const interleaved = (ledger: LedgerBuilder, a: Mint): unknown => {
      const b = ledger.mint()
      return ledger.session(a).stsJwt(a).session(b).stsJwt(b).credsMinted(a).credsMinted(b)
    }
    expect(findingsAfter(interleaved)).toEqual([])
  })

  test('without a session is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.jwt(mint))).toEqual([[4, 'no-session']])
    expect(findingsAfter((ledger, mint) => ledger.stsJwt(mint))).toEqual([[4, 'no-session']])
    expect(findingsAfter((ledger, mint) => ledger.credsRequested(mint))).toEqual([[4, 'no-session']])
  })

  test('with an outcome that nothing announced is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.credsMinted(mint))).toEqual([[4, 'no-request']])
    expect(findingsAfter((ledger, mint) => ledger.session(mint).credsMinted(mint))).toEqual([
      [5, 'no-request'],
    ])
    expect(findingsAfter((ledger, mint) => ledger.session(mint).credsFailed(mint))).toEqual([
      [5, 'no-request'],
    ])
  })

  test('with an outcome before its announcement is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.session(mint).credsMinted(mint).stsJwt(mint))).toEqual([
      [5, 'no-request'],
    ])
  })

  test('with two outcomes is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.awsMint(mint).credsMinted(mint))).toEqual([
      [7, 'mint-out-of-turn'],
    ])
    expect(findingsAfter((ledger, mint) => ledger.awsMint(mint).credsFailed(mint))).toEqual([
      [7, 'mint-out-of-turn'],
    ])
  })

  test('with two JWTs is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.oidcMint(mint).jwt(mint))).toEqual([
      [6, 'mint-out-of-turn'],
    ])
    expect(findingsAfter((ledger, mint) => ledger.session(mint).stsJwt(mint).stsJwt(mint))).toEqual([
      [6, 'mint-out-of-turn'],
    ])
  })

  test('whose JWT was handed out, and which got credentials too, is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.oidcMint(mint).credsMinted(mint))).toEqual([
      [6, 'mint-out-of-turn'],
    ])
  })

  test('that was refused, and got a JWT all the same, is found', () => {
    expect(findingsAfter((ledger, mint) => ledger.refused(mint).jwt(mint))).toEqual([[5, 'mint-out-of-turn']])
  })

  test('of another wallet than its session is found', () => {
    const jwt = { wallet: otherWallet, sub: `agentkeys:agent:${otherWallet}` }
    expect(findingsAfter((ledger, mint) => ledger.session(mint).jwt(mint, jwt))).toEqual([
      [5, 'wrong-wallet'],
    ])
    const creds = (ledger: LedgerBuilder, mint: Mint): unknown =>
      ledger.session(mint).stsJwt(mint).credsMinted(mint, { wallet: otherWallet })
    expect(findingsAfter(creds)).toEqual([[6, 'wrong-wallet']])
  })

  test('of another role than was announced is found', () => {
    const minted = (ledger: LedgerBuilder, mint: Mint): unknown =>
      ledger.session(mint).stsJwt(mint).credsMinted(mint, { roleArn: otherRole })
    expect(findingsAfter(minted)).toEqual([[6, 'wrong-role']])
    const failed = (ledger: LedgerBuilder, mint: Mint): unknown =>
      ledger.session(mint).credsRequested(mint).credsFailed(mint, 'access-denied', { roleArn: otherRole })
    expect(findingsAfter(failed)).toEqual([[6, 'wrong-role']])
  })

  test('for STS must name its role', () => {
    const unnamed = (ledger: LedgerBuilder, mint: Mint): unknown => {
      ledger.session(mint)
      return ledger.jwt(mint, { purpose: 'sts' })
    }
    expect(findingsAfter(unnamed)).toEqual([[5, 'wrong-shape']])
  })

  test('has a subject that names its wallet', () => {
    const sub = `agentkeys:agent:${otherWallet}`
    expect(findingsAfter((ledger, mint) => ledger.session(mint).jwt(mint, { sub }))).toEqual([
      [5, 'wrong-subject'],
    ])
  })

  test.each([
    [59, ['ttl-out-of-bounds']],
    [60, []],
    [3_600, []],
    [3_601, ['ttl-out-of-bounds']],
    [-1, ['ttl-out-of-bounds']],
  ])('with a JWT valid for %d s: %j', (ttl, kinds) => {
    const found = findingsAfter((ledger, mint) => {
      const iat = Math.floor(ledger.now.getTime() / 1000)
      return ledger.session(mint).jwt(mint, { iat, exp: iat + ttl })
    })
    expect(found.map(([, kind]) => kind)).toEqual(kinds)
  })

  test('has an id of its own', () => {
    const twice = (ledger: LedgerBuilder, mint: Mint): unknown => ledger.oidcMint(mint).session(mint)
    expect(findingsAfter(twice)).toEqual([[6, 'mint-id-repeated']])
    expect(findingsAfter((ledger, mint) => ledger.session(mint).refused(mint))).toEqual([
      [5, 'mint-id-repeated'],
    ])
  })

  test('may have an id earlier than others, as long as they are remembered', () => {
    const late = (ledger: LedgerBuilder, mint: Mint): unknown => ledger.oidcMint().oidcMint().oidcMint(mint)
    expect(findingsAfter(late)).toEqual([])
  })
})

test('a mint whose id is older than all that are remembered cannot be shown to be new, and is found', () => {
  const found: Finding[] = []
  const checker = new ProtocolChecker((finding) => found.push(finding))
  const [opened, refusal] = new LedgerBuilder()
    .open()
    .refused()
    .entries.map(({ entry }) => entry)
  checker.take(opened!)
  const time = (refusal!.data.mintId as string).slice(0, 13)
  const refuse = (index: number, n: number): void => {
    const mintId = `${time}-7000-8000-${n.toString(16).padStart(12, '0')}`
    checker.take({ ...refusal!, index, data: { ...refusal!.data, mintId } })
  }
  for (let n = 1; n <= 250_001; n += 1) refuse(n, n)
  refuse(250_002, 1)
  refuse(250_003, 200_000)
  refuse(250_004, 300_000)
  expect(found.map(({ index, kind }) => [index, kind])).toEqual([
    [250_002, 'mint-id-out-of-order'],
    [250_003, 'mint-id-repeated'],
  ])
})

describe('a signing key', () => {
  test('may be rotated: the new one supersedes the old', () => {
    const rotated = (ledger: LedgerBuilder): unknown => {
      const old = ledger.kid
      return ledger.publishKey('next').oidcMint().activateKey('next').oidcMint().retireKey(old).oidcMint()
    }
    expect(findingsAfter((ledger) => ledger.publishKey('next').activateKey('next').oidcMint())).toEqual([])
    // publishKey makes the builder sign with the new key at once, before it is active.
    expect(findingsAfter(rotated)).toEqual([[6, 'key-not-active']])
  })

  test('must be published and active when it signs', () => {
    const signed = (kid: string) => (ledger: LedgerBuilder, mint: Mint) =>
      ledger.session(mint).jwt(mint, { kid })
    expect(findingsAfter(signed('nobody'))).toEqual([[5, 'key-unpublished']])
    const superseded = (ledger: LedgerBuilder, mint: Mint): unknown => {
      const kid = ledger.kid
      return ledger.publishKey('next').activateKey().session(mint).jwt(mint, { kid })
    }
    expect(findingsAfter(superseded)).toEqual([[7, 'key-not-active']])
  })

  test('does not sign once it is retired or revoked', () => {
    expect(findingsAfter((ledger) => ledger.retireKey().oidcMint())).toEqual([[6, 'key-not-active']])
    expect(findingsAfter((ledger) => ledger.revokeKey().oidcMint())).toEqual([[6, 'key-not-active']])
  })

  test('must be published before it is activated, retired or revoked', () => {
    expect(findingsAfter((ledger) => ledger.activateKey('nobody'))).toEqual([[4, 'key-unpublished']])
    expect(findingsAfter((ledger) => ledger.retireKey('nobody'))).toEqual([[4, 'key-unpublished']])
    expect(findingsAfter((ledger) => ledger.revokeKey('nobody'))).toEqual([[4, 'key-unpublished']])
  })

  test('is published once, and does not come back', () => {
    expect(findingsAfter((ledger) => ledger.publishKey(ledger.kid))).toEqual([[4, 'key-out-of-turn']])
    expect(findingsAfter((ledger) => ledger.retireKey().activateKey())).toEqual([[5, 'key-out-of-turn']])
    expect(findingsAfter((ledger) => ledger.revokeKey().activateKey())).toEqual([[5, 'key-out-of-turn']])
    expect(findingsAfter((ledger) => ledger.revokeKey().retireKey())).toEqual([[5, 'key-out-of-turn']])
    expect(findingsAfter((ledger) => ledger.retireKey().retireKey())).toEqual([[5, 'key-out-of-turn']])
  })

  test('is there once: under another kid it is found, even when it was retired or revoked', () => {
    const again = (ledger: LedgerBuilder): LedgerBuilder => {
      const published = ledger.entries[2]!.entry.data as unknown as EventOf<'SigningKeyPublished'>['data']
      return ledger.publishJwk({ ...published.jwk, kid: 'another' })
    }
    expect(findingsAfter(again)).toEqual([[4, 'key-reused']])
    expect(findingsAfter((ledger) => again(ledger.retireKey()))).toEqual([[5, 'key-reused']])
    expect(findingsAfter((ledger) => again(ledger.revokeKey()))).toEqual([[5, 'key-reused']])
  })

  test('may be revoked after it was retired', () => {
    expect(findingsAfter((ledger) => ledger.retireKey().revokeKey())).toEqual([])
  })

  test('is one of a bounded number', () => {
    const many = (ledger: LedgerBuilder): void => {
      for (let n = 0; n < 10_000; n += 1) ledger.publishKey(`k${n}`)
    }
    expect(findingsAfter(many)).toEqual([[10_003, 'too-many-keys']])
  })
})

describe('LedgerOpened', () => {
  const kinds = (ledger: LedgerBuilder): string[] =>
    verifyLedger(ledger.texts).findings.map(({ kind }) => kind)

  test('is entry 0 and no other', () => {
    expect(kinds(new LedgerBuilder().open())).toEqual([])
    expect(kinds(new LedgerBuilder().brokerStarted())).toEqual(['not-opened'])
    expect(kinds(new LedgerBuilder().open().open())).toEqual(['opened-again'])
  })

  test('has an origin and a key of that name', () => {
    expect(kinds(new LedgerBuilder().open({ origin: '' }))).toEqual(['wrong-shape'])
    expect(kinds(new LedgerBuilder().open({ origin: 'other.example.com/ledger' }))).toEqual(['wrong-shape'])
    expect(kinds(new LedgerBuilder().open({ vkey: 'broker.example.com/ledger' }))).toEqual(['wrong-shape'])
  })

  test('is missing from an empty ledger', () => {
    expect(verifyLedger([])).toMatchObject({
      ok: false,
      size: 0,
      firstFinding: { index: 0, kind: 'not-opened' },
    })
  })
})

test('counts of refusals span time forwards', () => {
  const backwards = { since: '2026-11-20T12:01:00.000Z', until: '2026-11-20T12:00:00.000Z' }
  expect(findingsAfter((ledger) => ledger.refusalsCounted(backwards))).toEqual([[4, 'span-backwards']])
})

test('an event of no known type is found, a member of Object.prototype included', () => {
  const unknown = (type: string) => (ledger: LedgerBuilder) => ledger.append({ type, data: {} } as never)
  expect(findingsAfter(unknown('CredsStolen'))).toEqual([[4, 'unknown-type']])
  expect(findingsAfter(unknown('constructor'))).toEqual([[4, 'unknown-type']])
})

test('every finding says what to do next, and none repeats what the entry holds', () => {
  const secret = 'bearer-0123456789abcdef'
  const ledger = LedgerBuilder.opened()
    .session(undefined, { wallet: secret })
    .jwt({ mintId: secret, wallet: secret })
  const { findings } = verifyLedger(ledger.append({ type: secret, data: {} } as never).texts)
  expect(findings.map(({ kind }) => kind)).toEqual(['wrong-shape', 'wrong-shape', 'unknown-type'])
  expect(findings.filter(({ advice }) => advice.length < 40)).toEqual([])
  expect(JSON.stringify(findings)).not.toContain(secret)
})

test('the role that the builder announces is the one it mints for', () => {
  const { entries } = LedgerBuilder.opened().awsMint()
  expect(entries.slice(-2).map(({ entry }) => entry.data.roleArn)).toEqual([ROLE_ARN, ROLE_ARN])
})

describe('a policy', () => {
  const loaded = (ledger: LedgerBuilder) => ledger.policyLoaded()

  test('may allow a mint, refuse one, and fail', () => {
    const decided = (ledger: LedgerBuilder, mint: Mint): unknown => {
      const [refused, failed] = [ledger.mint(), ledger.mint()]
      loaded(ledger).session(mint).scoped(mint).policyDecided(mint).stsJwt(mint).credsMinted(mint)
      ledger.refused(refused, 'policy-denied').policyDecided(refused, { decision: 'deny', policies: [] })
      return ledger.refused(failed, 'policy-error').policyDecided(failed, { decision: 'error' })
    }
    expect(findingsAfter(decided)).toEqual([])
  })

  test.each(['deny', 'error'] as const)('that said %s lets no mint through', (decision) => {
    const jwt = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).session(mint).policyDecided(mint, { decision }).jwt(mint)
    expect(findingsAfter(jwt)).toEqual([[7, 'against-policy']])
    const creds = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).session(mint).policyDecided(mint, { decision }).credsRequested(mint)
    expect(findingsAfter(creds)).toEqual([[7, 'against-policy']])
  })

  test('that no entry before it loads is found, of a refusal too', () => {
    const other = { policySha256: 'f'.repeat(64) }
    const minted = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).session(mint).policyDecided(mint, other).jwt(mint)
    expect(findingsAfter(minted)).toEqual([[6, 'policy-not-loaded']])
    const refused = (ledger: LedgerBuilder, mint: Mint): unknown =>
      ledger.refused(mint, 'policy-denied').policyDecided(mint, { decision: 'deny' }).policyLoaded()
    expect(findingsAfter(refused)).toEqual([[5, 'policy-not-loaded']])
  })

  test('decides a mint once, while it is under way or right after it was refused', () => {
    const twice = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).session(mint).policyDecided(mint).policyDecided(mint, { decision: 'deny' }).jwt(mint)
    expect(findingsAfter(twice)).toEqual([[7, 'mint-out-of-turn']])
    const late = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).oidcMint(mint).policyDecided(mint)
    expect(findingsAfter(late)).toEqual([[7, 'mint-out-of-turn']])
    const unbegun = (ledger: LedgerBuilder, mint: Mint): unknown => loaded(ledger).policyDecided(mint)
    expect(findingsAfter(unbegun)).toEqual([[5, 'no-session']])
    const deny = { decision: 'deny' } as const
    const apart = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).refused(mint, 'policy-denied').refused().policyDecided(mint, deny)
    expect(findingsAfter(apart)).toEqual([[7, 'mint-out-of-turn']])
    const allowed = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).refused(mint, 'policy-denied').policyDecided(mint)
    expect(findingsAfter(allowed)).toEqual([[6, 'mint-out-of-turn']])
  })

  test('decides for the wallet whose session it is', () => {
    const other = { wallet: otherWallet }
    const mint = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger).session(mint).policyDecided(mint, other).jwt(mint)
    expect(findingsAfter(mint)).toEqual([[6, 'wrong-wallet']])
    const refused = (ledger: LedgerBuilder, mint: Mint): unknown =>
      loaded(ledger)
        .refused(mint, 'policy-denied')
        .policyDecided(mint, { ...other, decision: 'deny' })
    expect(findingsAfter(refused)).toEqual([[6, 'wrong-wallet']])
  })

  test('is remembered where a reading stopped, and so is the refusal before it', () => {
    const ledger = LedgerBuilder.opened().policyLoaded()
    const mint = ledger.mint()
    ledger.refused(mint, 'policy-denied').policyDecided(mint, { decision: 'deny' })
    const findings: Finding[] = []
    let checker = new ProtocolChecker((found) => findings.push(found))
    for (const { entry } of ledger.entries) {
      const state = JSON.parse(JSON.stringify(checker.state())) as ReturnType<ProtocolChecker['state']>
      if (entry.index > 0) checker = new ProtocolChecker((found) => findings.push(found), state)
      checker.take(entry)
    }
    expect(findings).toEqual([])
  })
})
