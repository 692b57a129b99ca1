// AWS credentials, through the unmodified AWS SDK on both sides of the broker.

import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { fromWebToken } from '@aws-sdk/credential-providers'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'

import type { CredsFailureCode, RefusalReason } from '../../src/domain/ledger/events.js'
import { DATA_ROLE_ARN, USER_KEY } from '../../tools/local-aws/default-account.js'
import { type Fault, KEY_RETRIEVAL_FAILED } from '../../tools/local-aws/faults.js'
import { BrokerProcess } from '../support/broker-process.js'
import {
  awsEnv,
  type BrokerWithAws,
  OTHER_ROLE_ARN,
  startBrokerWithAws,
  STATIC_KEYS,
} from '../support/broker-with-aws.js'
import { freePort } from '../support/free-port.js'
import { stsClient } from '../support/sts-client.js'
import { entriesDuring, entriesOf, expectVerified, only } from '../support/audited-ledger.js'

interface CredsReply {
  access_key_id: string
  secret_access_key: string
  session_token: string
  expiration: number
  wallet: string
  mint_id: string
  role_arn: string
}

type Failure = [name: string, fault: Fault, code: CredsFailureCode]

const error = (code: string, status?: number): Fault => ({ kind: 'error', code, ...(status && { status }) })

/** What AWS may answer to a web identity. A hang is ten seconds long: src/aws/sdk-sts.test.ts has it. */
const OF_A_WEB_IDENTITY: Failure[] = [
  ['AccessDenied', error('AccessDenied'), 'access-denied'],
  ['ExpiredTokenException', error('ExpiredTokenException'), 'expired-token'],
  ['IDPCommunicationError', error('IDPCommunicationError'), 'idp-communication-error'],
  ['IDPRejectedClaim', error('IDPRejectedClaim'), 'idp-rejected-claim'],
  ['InvalidIdentityToken', error('InvalidIdentityToken'), 'invalid-identity-token'],
  ['no verification key', KEY_RETRIEVAL_FAILED, 'key-retrieval-failed'],
  ['MalformedPolicyDocument', error('MalformedPolicyDocument'), 'malformed-policy'],
  ['PackedPolicyTooLarge', error('PackedPolicyTooLarge'), 'packed-policy-too-large'],
  ['RegionDisabledException', error('RegionDisabledException'), 'region-disabled'],
  ['Throttling', error('Throttling'), 'throttled'],
  ['ValidationError', error('ValidationError'), 'validation-error'],
  ['InternalFailure', error('InternalFailure'), 'unreachable'],
  ['an unknown code', error('SomethingNew', 418), 'unexpected'],
  ['an empty success', { kind: 'empty' }, 'empty-response'],
  ['a connection closed', { kind: 'drop' }, 'unreachable'],
]

const OF_KEYS: Failure[] = [
  ['AccessDenied', error('AccessDenied'), 'access-denied'],
  ['ExpiredToken', error('ExpiredToken'), 'broker-credentials-refused'],
  ['InvalidClientTokenId', error('InvalidClientTokenId'), 'broker-credentials-refused'],
  ['SignatureDoesNotMatch', error('SignatureDoesNotMatch'), 'broker-credentials-refused'],
  ['an empty success', { kind: 'empty' }, 'empty-response'],
]

/** Both modes are held to the same tests; what is announced before STS is asked differs, and what STS may say to it. */
const MODES = [
  {
    mode: 'web-identity',
    env: {},
    action: 'AssumeRoleWithWebIdentity',
    announced: 'JwtIssued',
    failures: OF_A_WEB_IDENTITY,
  },
  {
    mode: 'assume-role',
    env: STATIC_KEYS,
    action: 'AssumeRole',
    announced: 'CredsRequested',
    failures: OF_KEYS,
  },
] as const

const UNLISTED = 'arn:aws:iam::111122223333:role/admin'
const NOT_LISTED = 'is neither the data role nor another that this broker allows'

describe.each(MODES)('POST /v1/mint-aws-creds in $mode mode', ({ env, action, announced, failures }) => {
  let world: BrokerWithAws
  let session: string
  let wallet: string

  beforeAll(async () => {
    world = await startBrokerWithAws({ env: { ...env, BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE_ARN } })
    ;({ session, wallet } = await world.broker.session())
  })

  afterEach(async () => {
    world.aws.clearFaults()
    await expectVerified(world.broker.dataDir)
  })

  afterAll(() => world.dispose())

  const mint = (body?: unknown) => world.broker.post<CredsReply>('/v1/mint-aws-creds', session, body)

  async function refused(body: object, reason: RefusalReason, detail: string): Promise<void> {
    const calls = world.aws.calls.length
    let reply: Awaited<ReturnType<typeof mint>> | undefined
    const entries = await entriesDuring(world.broker.dataDir, async () => (reply = await mint(body)))
    expect(reply?.status).toBe(403)
    expect(reply?.body).toEqual({ error: 'forbidden', message: `forbidden: ${detail}`, reason })
    expect(entries.map(({ type }) => type)).toEqual(['MintRefused'])
    expect(only(entries, 'MintRefused')).toMatchObject({ wallet, kind: 'aws_creds', reason, detail })
    expect(world.aws.calls).toHaveLength(calls)
  }

  test('the keys work, and the session is tagged and named after the wallet', async () => {
    let creds = {} as CredsReply
    const entries = await entriesDuring(world.broker.dataDir, async () => {
      const { status, body } = await mint()
      expect(status).toBe(200)
      creds = body
    })
    expect(entries.map(({ type }) => type)).toEqual(['SessionValidated', announced, 'CredsMinted'])

    const arn = `arn:aws:sts::111122223333:assumed-role/agentkeys-data-role/ak-${creds.mint_id}`
    const { Arn } = await stsClient(world.aws.url, {
      accessKeyId: creds.access_key_id,
      secretAccessKey: creds.secret_access_key,
      sessionToken: creds.session_token,
    }).send(new GetCallerIdentityCommand({}))
    expect(Arn).toBe(arn)
    const opened = world.aws.session(creds.access_key_id)
    expect(opened?.sourceIdentity).toBe(wallet)
    expect(opened?.principalTags.get('agentkeys_user_wallet')).toBe(wallet)
    expect([...(opened?.tags.transitiveKeys ?? [])]).toEqual(['agentkeys_user_wallet'])
    expect(only(entries, 'CredsMinted')).toEqual({
      mintId: creds.mint_id,
      wallet,
      roleArn: DATA_ROLE_ARN,
      roleSessionName: `ak-${creds.mint_id}`,
      accessKeyId: creds.access_key_id,
      assumedRoleArn: arn,
      expiresAt: new Date(creds.expiration * 1000).toISOString(),
      durationSeconds: 3600,
    })
  })

  test('a listed role is given; any other is a 403 and a MintRefused, and STS is not asked', async () => {
    const { status, body } = await mint({ role: OTHER_ROLE_ARN })
    expect([status, body.role_arn]).toEqual([200, OTHER_ROLE_ARN])
    expect(world.aws.session(body.access_key_id)?.roleArn).toBe(OTHER_ROLE_ARN)

    await refused({ role: UNLISTED }, 'role-not-allowed', `${UNLISTED} ${NOT_LISTED}`)
    for (const role of [
      `${DATA_ROLE_ARN}-x`,
      DATA_ROLE_ARN.slice(0, -1),
      DATA_ROLE_ARN.replace('data', 'Data'),
    ]) {
      await refused({ role }, 'role-not-allowed', `${role} ${NOT_LISTED}`)
    }
    const odd = `the role asked for, which is no role ARN, ${NOT_LISTED}`
    for (const role of ['*', `${DATA_ROLE_ARN}\n`, `${DATA_ROLE_ARN},${UNLISTED}`, 'arn:aws:iam::1:root']) {
      await refused({ role }, 'role-not-allowed', odd)
    }
  })

  test('duration_seconds is 900 to the configured maximum', async () => {
    for (const seconds of [900, 3600]) {
      const entries = await entriesDuring(world.broker.dataDir, () => mint({ duration_seconds: seconds }))
      expect(only(entries, 'CredsMinted').durationSeconds).toBe(seconds)
    }
    for (const seconds of [1, 899, 3601, 43_200, Number.MAX_SAFE_INTEGER]) {
      await refused(
        { duration_seconds: seconds },
        'duration-out-of-bounds',
        'duration_seconds must be 900 to 3600',
      )
    }
  })

  test('every error of STS is a 502 without credentials, and stands in the ledger under its code', async () => {
    for (const [name, fault, code] of failures) {
      world.aws.failNext(fault, { times: 'all', action })
      let reply: Awaited<ReturnType<typeof mint>> | undefined
      const entries = await entriesDuring(world.broker.dataDir, async () => (reply = await mint()))
      world.aws.clearFaults()

      const failed = only(entries, 'CredsMintFailed')
      expect([name, failed.code]).toEqual([name, code])
      expect(entries.map(({ type }) => type)).toEqual(['SessionValidated', announced, 'CredsMintFailed'])
      expect(failed).toMatchObject({ wallet, roleArn: DATA_ROLE_ARN })
      expect(reply?.status).toBe(502)
      expect(reply?.body).toEqual({
        error: 'sts_error',
        message: `sts error: ${failed.detail}`,
        reason: failed.code,
      })
    }
  })

  test('a failure that passes is asked again, and the caller never knows', async () => {
    world.aws.failNext(error('Throttling'), { times: 2, action })
    const calls = world.aws.calls.length
    expect((await mint()).status).toBe(200)
    expect(world.aws.calls.slice(calls).map(({ outcome }) => outcome)).toEqual([
      'Throttling',
      'Throttling',
      'ok',
    ])
  })
})

describe('POST /v1/mint-oidc-jwt for AWS and others', () => {
  const AUDIENCE = 'https://vault.example.com'
  let world: BrokerWithAws
  let session: string
  let wallet: string

  beforeAll(async () => {
    world = await startBrokerWithAws({
      env: { BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE_ARN, BROKER_ALLOWED_AUDIENCES: AUDIENCE },
    })
    ;({ session, wallet } = await world.broker.session())
  })

  afterEach(() => expectVerified(world.broker.dataDir))

  afterAll(() => world.dispose())

  const mint = (body?: unknown) => world.broker.post<{ jwt: string }>('/v1/mint-oidc-jwt', session, body)

  test('the JWT opens a session of the wallet through the SDK, for the role it names and no other', async () => {
    const { jwt } = (await mint({ role: OTHER_ROLE_ARN })).body
    const exchange = (roleArn: string) =>
      fromWebToken({
        roleArn,
        webIdentityToken: jwt,
        roleSessionName: 'an-agent',
        clientConfig: { endpoint: world.aws.url, region: 'us-east-1', maxAttempts: 1 },
      })()
    const { accessKeyId } = await exchange(OTHER_ROLE_ARN)
    const opened = world.aws.session(accessKeyId)
    expect(opened?.sourceIdentity).toBe(wallet)
    expect(opened?.principalTags.get('agentkeys_user_wallet')).toBe(wallet)
    await expect(exchange(DATA_ROLE_ARN)).rejects.toMatchObject({ name: 'InvalidIdentityTokenException' })
  })

  test('a listed audience and a shorter life are given', async () => {
    const { jwt } = (await mint({ audience: AUDIENCE, ttl_seconds: 60 })).body
    const { aud, iat = 0, exp = 0 } = decodeJwt(jwt)
    expect([aud, exp - iat]).toEqual([AUDIENCE, 60])
    expect(entriesOf(world.broker.dataDir).at(-1)?.data).toMatchObject({ aud: AUDIENCE, exp, iat })
  })

  test('what is not listed or out of bounds is a 403 and a MintRefused', async () => {
    const audience = 'audience must be sts.amazonaws.com or one that this broker allows'
    const ttl = 'ttl_seconds must be 60 to 300'
    const refusals: [unknown, RefusalReason, string][] = [
      [{ audience: 'https://evil.example.com' }, 'audience-not-allowed', audience],
      [{ audience: `${AUDIENCE}/` }, 'audience-not-allowed', audience],
      [{ audience: 'STS.amazonaws.com' }, 'audience-not-allowed', audience],
      [{ ttl_seconds: 59 }, 'ttl-out-of-bounds', ttl],
      [{ ttl_seconds: 301 }, 'ttl-out-of-bounds', ttl],
      [{ role: UNLISTED }, 'role-not-allowed', `${UNLISTED} ${NOT_LISTED}`],
    ]
    for (const [body, reason, detail] of refusals) {
      const entries = await entriesDuring(world.broker.dataDir, async () => {
        const reply = await mint(body)
        expect(reply.status).toBe(403)
        expect(reply.body).toEqual({ error: 'forbidden', message: `forbidden: ${detail}`, reason })
      })
      expect(entries.map(({ type }) => type)).toEqual(['MintRefused'])
      expect(only(entries, 'MintRefused')).toMatchObject({ wallet, kind: 'oidc_jwt', reason, detail })
    }
  })
})

describe('starting', () => {
  const started: BrokerProcess[] = []

  afterAll(async () => {
    for (const broker of started) await broker.dispose()
  })

  async function spawned(options: Parameters<typeof BrokerProcess.spawn>[0]): Promise<BrokerProcess> {
    const broker = await BrokerProcess.spawn(options)
    started.push(broker)
    return broker
  }

  test('with STS down, the broker refuses to listen and says what to check', async () => {
    const nowhere = { url: `http://127.0.0.1:${await freePort()}` }
    const broker = await spawned({ env: awsEnv(nowhere) })
    expect(await broker.exited()).toBe(1)
    expect(broker.log).toContain('startup STS check failed — refusing to bind')
    expect(broker.log).toMatch(/refusing to start: .*ECONNREFUSED.*BROKER_AWS_REGION.*--skip-startup-check/)
    // Web identity takes no AWS credentials: nothing about them can be wrong.
    expect(broker.log).not.toMatch(/AWS_PROFILE|static keys/)
    expect(broker.log).not.toContain('broker listening')
    await expectVerified(broker.dataDir)
  })

  test('with STS down and --skip-startup-check it listens, mints JWTs, and is not ready', async () => {
    const nowhere = { url: `http://127.0.0.1:${await freePort()}` }
    const broker = await BrokerProcess.start({ env: awsEnv(nowhere), flags: ['--skip-startup-check'] })
    started.push(broker)
    const { session } = await broker.session()
    expect((await broker.post('/v1/mint-oidc-jwt', session)).status).toBe(200)
    expect(await broker.get('/readyz')).toMatchObject({
      status: 503,
      body: { sts_ok: false, backend_ok: true },
    })
    expect((await broker.post('/v1/mint-aws-creds', session)).status).toBe(502)
    await expectVerified(broker.dataDir)
  })

  test('with static keys that STS does not know, it refuses; with those it knows, it says which it uses', async () => {
    const wrong = { ...STATIC_KEYS, DAEMON_SECRET_ACCESS_KEY: USER_KEY.secretAccessKey.replace('w', 'x') }
    await expect(startBrokerWithAws({ env: wrong })).rejects.toThrow(
      /refusing to start: SignatureDoesNotMatch/,
    )

    const world = await startBrokerWithAws({ env: STATIC_KEYS })
    started.push(world.broker)
    expect(world.broker.log).toContain('AWS credentials: static IAM-user keys (DAEMON_ACCESS_KEY_ID env)')
    expect(world.broker.log).toContain('startup STS check passed')
    await expectVerified(world.broker.dataDir)
    await world.dispose()
  })

  test('without an AWS role, mint-aws-creds is a clear 503 and everything else works', async () => {
    const broker = await BrokerProcess.start()
    started.push(broker)
    const { session } = await broker.session()
    const { status, body } = await broker.post('/v1/mint-aws-creds', session)
    expect(status).toBe(503)
    expect(body).toEqual({
      error: 'aws_not_configured',
      message: expect.stringContaining('its operator has to set one'),
      reason: 'aws-not-configured',
    })
    expect((await broker.get('/readyz')).status).toBe(200)
    const { jwt } = (await broker.post<{ jwt: string }>('/v1/mint-oidc-jwt', session)).body
    expect(decodeJwt(jwt)).not.toHaveProperty('https://aws.amazon.com/roles')
    await expectVerified(broker.dataDir)
  })
})
