import { describe, expect, test } from '@jest/globals'

import { type Change, LedgerBuilder, type Mint, ROLE_ARN } from '../../../test/support/ledger-builder.js'

import type { Entry } from './entry.js'
import { type Finding } from './findings.js'
import { ProtocolChecker, type ProtocolState } from './protocol-rules.js'
import { verifyLedger } from './verify.js'

type Ledger = LedgerBuilder
type Minted = Change<'CredsMinted'>

/** Entries 0 to 3 open the ledger; what `then` appends begins at 4. */
function findingsAfter(then: (ledger: Ledger, mint: Mint) => unknown): [number, string][] {
  const ledger = LedgerBuilder.opened()
  then(ledger, ledger.mint())
  return verifyLedger(ledger.texts).findings.map(({ index, kind }) => [index, kind])
}

const HOUR_MS = 3_600_000
const later = (ledger: Ledger, ms: number): string => new Date(ledger.now.getTime() + ms).toISOString()
const minted = (change: Minted | ((ledger: Ledger) => Minted)) => (ledger: Ledger, mint: Mint) =>
  ledger
    .session(mint)
    .stsJwt(mint)
    .credsMinted(mint, typeof change === 'function' ? change(ledger) : change)
const assumed = (change: Minted) => (ledger: Ledger, mint: Mint) =>
  ledger.session(mint).credsRequested(mint).credsMinted(mint, change)
const assumedRoleArn =
  (arn: (mint: Mint) => string) =>
  (ledger: Ledger, mint: Mint): unknown =>
    ledger
      .session(mint)
      .stsJwt(mint)
      .credsMinted(mint, { assumedRoleArn: arn(mint) })
const session = ({ mintId }: Mint): string => `agentkeys-${mintId}`
const idAt = (ms: number, { mintId }: Mint): string => {
  const time = Math.min(ms, 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}${mintId.slice(13)}`
}
const atAnotherTime =
  (ms: number) =>
  (ledger: Ledger, mint: Mint): unknown =>
    ledger.oidcMint({ ...mint, mintId: idAt(ledger.now.getTime() + ms, mint) })

const issuedAt =
  (ms: number) =>
  (ledger: Ledger, mint: Mint): unknown => {
    const iat = Math.floor((ledger.now.getTime() + ms) / 1000)
    return ledger.session(mint).jwt(mint, { iat, exp: iat + 300 })
  }

const IMPOSSIBLE: [string, (ledger: Ledger, mint: Mint) => unknown, [number, string][]][] = [
  ['a token that is good twenty years later', issuedAt(20 * 365 * 24 * HOUR_MS), [[5, 'wrong-issue-time']]],
  ['a token of an hour ago', issuedAt(-HOUR_MS), [[5, 'wrong-issue-time']]],
  [
    'assumedRoleArn of another role',
    assumedRoleArn((mint) => `arn:aws:sts::123456789012:assumed-role/administrator/${session(mint)}`),
    [[6, 'wrong-assumed-role']],
  ],
  [
    'assumedRoleArn of another account',
    assumedRoleArn((mint) => `arn:aws:sts::999999999999:assumed-role/agentkeys-data/${session(mint)}`),
    [[6, 'wrong-assumed-role']],
  ],
  [
    'assumedRoleArn of another partition',
    assumedRoleArn((mint) => `arn:aws-cn:sts::123456789012:assumed-role/agentkeys-data/${session(mint)}`),
    [[6, 'wrong-assumed-role']],
  ],
  [
    'assumedRoleArn of another session',
    assumedRoleArn(() => 'arn:aws:sts::123456789012:assumed-role/agentkeys-data/other'),
    [[6, 'wrong-assumed-role']],
  ],
  [
    'assumedRoleArn with something behind it',
    assumedRoleArn((mint) => `arn:aws:sts::123456789012:assumed-role/agentkeys-data/${session(mint)}/x`),
    [[6, 'wrong-assumed-role']],
  ],
  ['assumedRoleArn that is no ARN', assumedRoleArn(() => 'administrator'), [[6, 'wrong-assumed-role']]],
  [
    'a session name of another mint',
    (ledger, mint) => {
      const name = session(ledger.mint())
      const arn = `arn:aws:sts::123456789012:assumed-role/agentkeys-data/${name}`
      return minted({ roleSessionName: name, assumedRoleArn: arn })(ledger, mint)
    },
    [[6, 'wrong-session-name']],
  ],
  [
    'a session name other than announced',
    (ledger, mint) => {
      const name = `other-${mint.mintId}`
      const arn = `arn:aws:sts::123456789012:assumed-role/agentkeys-data/${name}`
      return assumed({ roleSessionName: name, assumedRoleArn: arn })(ledger, mint)
    },
    [[6, 'wrong-session-name']],
  ],
  [
    'a session name announced for another mint',
    (ledger, mint) => ledger.session(mint).credsRequested(mint, { roleSessionName: 'agentkeys-other' }),
    [[5, 'wrong-session-name']],
  ],
  ['a duration other than announced', assumed({ durationSeconds: 7_200 }), [[6, 'wrong-duration']]],
  [
    'an expiry before the credentials were asked for',
    minted((ledger) => ({ expiresAt: later(ledger, -HOUR_MS) })),
    [[6, 'wrong-expiry']],
  ],
  ['an expiry in the last century', minted({ expiresAt: '1970-01-01T00:00:00.000Z' }), [[6, 'wrong-expiry']]],
  [
    'an expiry later than the duration allows',
    minted((ledger) => ({ expiresAt: later(ledger, 2 * HOUR_MS) })),
    [[6, 'wrong-expiry']],
  ],
  ['an expiry in another century', minted({ expiresAt: '2126-01-01T00:00:00.000Z' }), [[6, 'wrong-expiry']]],
  [
    'one access key in two mints',
    (ledger, mint) => {
      const accessKeyId = 'ASIA0123456789ABCDEF'
      minted({ accessKeyId })(ledger, mint)
      return minted({ accessKeyId })(ledger, ledger.mint())
    },
    [[9, 'access-key-repeated']],
  ],
  [
    'one signing input in two JWTs',
    (ledger, mint) => {
      const signingInputSha256 = 'ab'.repeat(32)
      ledger.session(mint).jwt(mint, { signingInputSha256 })
      const other = ledger.mint()
      return ledger.session(other).stsJwt(other, { signingInputSha256 })
    },
    [[7, 'signing-input-repeated']],
  ],
  [
    'a JWT for STS with another audience',
    (ledger, mint) => ledger.session(mint).stsJwt(mint, { aud: 'api.example.com' }),
    [[5, 'wrong-audience']],
  ],
  ['a mint id of an hour ago', atAnotherTime(-HOUR_MS), [[4, 'mint-id-wrong-time']]],
  ['a mint id of the next hour', atAnotherTime(HOUR_MS), [[4, 'mint-id-wrong-time']]],
  ['a mint id from the end of time', atAnotherTime(Infinity), [[4, 'mint-id-wrong-time']]],
  [
    'refusals counted until after their entry',
    (ledger) => ledger.refusalsCounted({ until: later(ledger, HOUR_MS) }),
    [[4, 'wrong-span']],
  ],
  [
    'refusals counted since long before their entry',
    (ledger) => ledger.refusalsCounted({ since: '2020-01-01T00:00:00.000Z' }),
    [[4, 'wrong-span']],
  ],
  [
    'refusals of which none was counted',
    (ledger) => ledger.refusalsCounted({ counts: {} }),
    [[4, 'wrong-span']],
  ],
  [
    'a JWT refused for the duration of AWS credentials',
    (ledger, mint) => ledger.refused(mint, 'duration-out-of-bounds', { kind: 'oidc_jwt' }),
    [[4, 'wrong-reason']],
  ],
  [
    'AWS credentials refused for the audience of a JWT',
    (ledger, mint) => ledger.refused(mint, 'audience-not-allowed'),
    [[4, 'wrong-reason']],
  ],
]

describe('members that contradict each other', () => {
  test.each(IMPOSSIBLE)('are found: %s', (_, then, findings) => {
    expect(findingsAfter(then)).toEqual(findings)
  })

  test('may differ within what clocks differ, and by the case of a role name', () => {
    expect(findingsAfter(atAnotherTime(-290_000))).toEqual([])
    expect(findingsAfter(atAnotherTime(290_000))).toEqual([])
    expect(findingsAfter(minted((ledger) => ({ expiresAt: later(ledger, HOUR_MS + 290_000) })))).toEqual([])
    const upper = (mint: Mint): string =>
      `arn:aws:sts::123456789012:assumed-role/AgentKeys-Data/${session(mint)}`
    expect(findingsAfter(assumedRoleArn(upper))).toEqual([])
  })

  test('are found after what was read was remembered in between', () => {
    const accessKeyId = 'ASIA0123456789ABCDEF'
    const ledger = LedgerBuilder.opened()
    const [one, two] = [ledger.mint(), ledger.mint()]
    ledger.session(two).credsRequested(two)
    minted({ accessKeyId })(ledger, one)
    const before = ledger.entries.length
    ledger.credsMinted(two, { accessKeyId, durationSeconds: 900 })
    const entries = ledger.entries.map(({ entry }) => entry)
    const first = new ProtocolChecker(() => undefined)
    for (const entry of entries.slice(0, before)) first.take(entry)
    const found: string[] = []
    const state = JSON.parse(JSON.stringify(first.state())) as ReturnType<ProtocolChecker['state']>
    const second = new ProtocolChecker(({ kind }) => found.push(kind), state)
    for (const entry of entries.slice(before)) second.take(entry)
    expect(found.sort()).toEqual(['access-key-repeated', 'wrong-duration', 'wrong-expiry'])
  })
})

describe('mint ids ahead of their entries', () => {
  const [opened, refusal] = new LedgerBuilder()
    .open()
    .refused()
    .entries.map(({ entry }) => entry) as [Entry, Entry]
  const begin = Date.parse(refusal.time)

  /** As many refusals as there are `times`, a millisecond apart, each with an id of that time. */
  function findingsOf(times: Iterable<number>): Finding[] {
    const found: Finding[] = []
    const checker = new ProtocolChecker((finding) => found.push(finding))
    checker.take(opened)
    let index = 1
    for (const time of times) {
      const mintId = idAt(time, {
        mintId: `xxxxxxxx-xxxx-7000-8000-${index.toString(16).padStart(12, '0')}`,
        wallet: '',
      })
      checker.take({
        ...refusal,
        index,
        time: new Date(begin + index).toISOString(),
        data: { ...refusal.data, mintId },
      })
      index += 1
    }
    return found
  }

  test.each([
    ['from the end of time', Infinity, [[1, 'mint-id-wrong-time']]],
    ['within what clocks may differ', begin + 290_000, []],
  ] as const)('do not make the honest ones after them findings: %s', (_, poisoned, findings) => {
    function* times(): Generator<number> {
      yield poisoned
      for (let index = 2; index <= 260_000; index += 1) yield begin + index
    }
    expect(findingsOf(times()).map(({ index, kind }) => [index, kind])).toEqual(findings)
  })

  test('are findings once there are too many of them to remember', () => {
    const found = findingsOf(Array.from({ length: 10_002 }, (_, i) => begin + 100_000 + i))
    expect(found.map(({ index, kind }) => [index, kind])).toEqual([
      [10_001, 'mint-id-wrong-time'],
      [10_002, 'mint-id-wrong-time'],
    ])
  })
})

describe('values that a newer broker writes', () => {
  const unknown = (value: string) => value as never

  test('are a finding of their own kind, and the mint goes on', () => {
    expect(findingsAfter((ledger, mint) => ledger.refused(mint, unknown('moon-phase')))).toEqual([
      [4, 'unknown-value'],
    ])
    expect(
      findingsAfter((ledger, mint) => ledger.refused(mint, undefined, { kind: unknown('gcp_token') })),
    ).toEqual([[4, 'unknown-value']])
    const failed = (ledger: Ledger, mint: Mint): unknown =>
      ledger.session(mint).stsJwt(mint).credsFailed(mint, unknown('quota-exceeded'))
    expect(findingsAfter(failed)).toEqual([[6, 'unknown-value']])
    const purpose = (ledger: Ledger, mint: Mint): unknown =>
      ledger.session(mint).jwt(mint, { purpose: unknown('saml') })
    expect(findingsAfter(purpose)).toEqual([[5, 'unknown-value']])
  })

  test.each(['', 'Has Spaces', 'x'.repeat(65), '\u001b[2J'])(
    'are words, and %j has not the shape',
    (value) => {
      expect(findingsAfter((ledger, mint) => ledger.refused(mint, unknown(value)))).toEqual([
        [4, 'wrong-shape'],
      ])
    },
  )
})

describe('a mint of a child session', () => {
  const S3 = { services: ['s3'] }
  const READ_ONLY = { services: ['aws'], readOnly: true }
  const OTHER = { wallet: `0x${'f'.repeat(40)}` }

  test.each<[string, (ledger: Ledger, mint: Mint) => unknown, string[]]>([
    ['within its scope', (l, mint) => l.session(mint).scoped(mint).stsJwt(mint).credsMinted(mint), []],
    ['of another service', (l, mint) => l.session(mint).scoped(mint, S3).jwt(mint), ['outside-scope']],
    ['of no service', (l, mint) => l.session(mint).scoped(mint, S3).credsRequested(mint), ['outside-scope']],
    ['read-only, for a role', (l, mint) => l.session(mint).scoped(mint, READ_ONLY).stsJwt(mint), []],
    ['read-only', (l, mint) => l.session(mint).scoped(mint, READ_ONLY).jwt(mint), ['outside-scope']],
    ['scoped twice', (l, mint) => l.session(mint).scoped(mint).scoped(mint), ['mint-out-of-turn']],
    ['without a session', (l, mint) => l.scoped(mint), ['no-session']],
    ['scoped too late', (l, mint) => l.session(mint).stsJwt(mint).scoped(mint), ['mint-out-of-turn']],
    ['of another wallet', (l, mint) => l.session(mint).scoped(mint, OTHER), ['wrong-wallet']],
  ])('%s', (_what, then, kinds) => {
    expect(findingsAfter(then).map(([, kind]) => kind)).toEqual(kinds)
  })
})

describe('behind a cut-off, a mint', () => {
  const wallet = ({ wallet }: Mint) => ({ kind: 'wallet', target: wallet }) as const
  const parent = { kind: 'wallet', target: `0x${'a'.repeat(40)}` } as const
  const role = { kind: 'role', target: ROLE_ARN } as const

  test.each<[string, (ledger: Ledger, mint: Mint) => unknown, string[]]>([
    ['that is refused', (l, mint) => l.cutOff(wallet(mint)).refused(mint, 'cut-off'), []],
    ['that was done before', (l, mint) => l.oidcMint(mint).cutOff(wallet(mint)), []],
    ['of a wallet', (l, mint) => l.cutOff(wallet(mint)).oidcMint(mint), ['after-cut-off']],
    ['of a role', (l, mint) => l.cutOff(role).session(mint).credsRequested(mint), ['after-cut-off']],
    ['of a child', (l, mint) => l.cutOff(parent).session(mint).scoped(mint).jwt(mint), ['after-cut-off']],
    ['of another wallet', (l, mint) => l.cutOff(wallet(l.mint())).oidcMint(mint), []],
    ['once restored', (l, mint) => l.cutOff(wallet(mint)).restore(wallet(mint)).oidcMint(mint), []],
    [
      'whose outcome was recorded all the same',
      (l, mint) => l.session(mint).stsJwt(mint).cutOff(wallet(mint)).credsMinted(mint),
      ['after-cut-off'],
    ],
    [
      'whose credentials were dropped',
      (l, mint) => l.session(mint).stsJwt(mint).cutOff(wallet(mint)).credsFailed(mint, 'cut-off'),
      [],
    ],
    ['of a target in no form', (l) => l.cutOff({ kind: 'wallet', target: '0xAB' }), ['wrong-shape']],
  ])('%s', (_what, then, kinds) => {
    expect(findingsAfter(then).map(([, kind]) => kind)).toEqual(kinds)
  })

  test('is found by a verifier that goes on from what it remembers', () => {
    const ledger = LedgerBuilder.opened()
    const mint = ledger.mint()
    ledger.cutOff(wallet(mint))
    const first = new ProtocolChecker(() => undefined)
    for (const { entry } of ledger.drain()) first.take(entry)
    const found: Finding[] = []
    const second = new ProtocolChecker(
      (finding) => found.push(finding),
      JSON.parse(JSON.stringify(first.state())) as ProtocolState,
    )
    for (const { entry } of ledger.oidcMint(mint).entries) second.take(entry)
    expect(found.map(({ kind }) => kind)).toEqual(['after-cut-off'])
  })
})
