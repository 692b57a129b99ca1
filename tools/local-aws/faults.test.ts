import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { fromWebToken } from '@aws-sdk/credential-providers'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { ROLE, startIssuer, type TestIssuer } from '../../test/support/oidc-issuer.js'
import { refusal, stsClient } from '../../test/support/sts-client.js'
import { USER_KEY } from './default-account.js'
import { KEY_RETRIEVAL_MESSAGE } from './errors.js'
import { Faults, KEY_RETRIEVAL_FAILED } from './faults.js'
import { startLocalAws, type LocalAws } from './server.js'

let issuer: TestIssuer
let aws: LocalAws

beforeEach(async () => {
  issuer = await startIssuer()
  aws = await startLocalAws({ issuer: issuer.url })
})

afterEach(async () => {
  await aws.close()
  await issuer.close()
})

async function exchange(options: { maxAttempts?: number; abortSignal?: AbortSignal } = {}) {
  const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', WebIdentityToken: await issuer.token() }
  const { maxAttempts = 1, abortSignal } = options
  const client = stsClient(aws.url, undefined, maxAttempts)
  return client.send(new AssumeRoleWithWebIdentityCommand(ask), abortSignal && { abortSignal })
}

const outcomes = () => aws.calls.map(({ outcome }) => outcome)

describe('an error on order', () => {
  test.each([
    ['Throttling', 'Throttling', 400],
    ['IDPCommunicationError', 'IDPCommunicationErrorException', 400],
    ['IDPRejectedClaim', 'IDPRejectedClaimException', 403],
    ['InvalidIdentityToken', 'InvalidIdentityTokenException', 400],
    ['ExpiredTokenException', 'ExpiredTokenException', 400],
    ['PackedPolicyTooLarge', 'PackedPolicyTooLargeException', 400],
    ['MalformedPolicyDocument', 'MalformedPolicyDocumentException', 400],
    ['RegionDisabledException', 'RegionDisabledException', 403],
    ['AccessDenied', 'AccessDenied', 403],
    ['InternalFailure', 'InternalFailure', 500],
    ['NeverSeenBefore', 'NeverSeenBefore', 400],
  ])('%s is what the SDK knows as %s with status %i', async (code, name, status) => {
    aws.failNext({ kind: 'error', code })
    expect(await refusal(exchange())).toMatchObject({ name, status })
    expect(outcomes()).toEqual([code])
    expect(issuer.asked).toEqual([])
  })

  test('may have its own status and message', async () => {
    aws.failNext({ kind: 'error', code: 'Throttling', status: 503, message: 'Slow <down> & out' })
    expect(await refusal(exchange())).toEqual({
      name: 'Throttling',
      status: 503,
      message: 'Slow <down> & out',
    })
  })

  test('can be the key retrieval that may be tried again', async () => {
    aws.failNext(KEY_RETRIEVAL_FAILED)
    expect(await refusal(exchange())).toMatchObject({
      name: 'InvalidIdentityTokenException',
      message: KEY_RETRIEVAL_MESSAGE,
    })
  })

  test('passes when the SDK tries again', async () => {
    aws.failNext({ kind: 'error', code: 'Throttling' })
    expect((await exchange({ maxAttempts: 2 })).Audience).toBe('sts.amazonaws.com')
    expect(outcomes()).toEqual(['Throttling', 'ok'])
  })
})

describe('an order', () => {
  const down = { kind: 'error', code: 'InternalFailure' } as const

  test('is for one call unless it says how many', async () => {
    aws.failNext(down, { times: 2 })
    for (const outcome of ['InternalFailure', 'InternalFailure', 'ok']) {
      await exchange().catch(() => undefined)
      expect(outcomes().at(-1)).toBe(outcome)
    }
  })

  test('for all calls stands until it is cleared', async () => {
    aws.failNext(down, { times: 'all' })
    for (let call = 0; call < 3; call += 1) expect(await refusal(exchange())).toMatchObject({ status: 500 })
    aws.clearFaults()
    expect((await exchange()).Audience).toBe('sts.amazonaws.com')
  })

  test('for one action leaves the others alone', async () => {
    aws.failNext(down, { action: 'AssumeRoleWithWebIdentity' })
    await stsClient(aws.url, USER_KEY).send(new GetCallerIdentityCommand({}))
    expect(await refusal(exchange())).toMatchObject({ status: 500 })
    expect(outcomes()).toEqual(['ok', 'InternalFailure'])
  })

  test('follows the one before it', async () => {
    aws.failNext({ kind: 'error', code: 'Throttling' })
    aws.failNext({ kind: 'error', code: 'AccessDenied' })
    expect((await refusal(exchange())).name).toBe('Throttling')
    expect((await refusal(exchange())).name).toBe('AccessDenied')
  })

  test('can be there from the start', async () => {
    const born = await startLocalAws({ issuer: issuer.url, faults: [{ fault: down }] })
    try {
      expect((await fetch(born.url, { method: 'POST', body: 'Action=GetCallerIdentity' })).status).toBe(500)
    } finally {
      await born.close()
    }
  })

  test.each([0, -1, 1.5, NaN])('for %d calls is refused', (times) => {
    expect(() => new Faults().order({ fault: down, times })).toThrow('times must be a whole number')
  })
})

describe('worse than an error', () => {
  test('a delay, and then the work', async () => {
    aws.failNext({ kind: 'delay', ms: 40 })
    const before = performance.now()
    expect((await exchange()).Audience).toBe('sts.amazonaws.com')
    // Timers may fire a millisecond early; an answer without the delay is in no clock's doubt.
    expect(performance.now() - before).toBeGreaterThanOrEqual(39)
  })

  test('no answer, ever', async () => {
    aws.failNext({ kind: 'hang' })
    const patience = new AbortController()
    const failed = exchange({ abortSignal: patience.signal })
    while (outcomes()[0] !== 'hang') await new Promise((resolve) => setImmediate(resolve))
    patience.abort()
    await expect(failed).rejects.toMatchObject({ name: 'AbortError' })
    expect(outcomes()).toEqual(['hang'])
  })

  test('a connection cut', async () => {
    aws.failNext({ kind: 'drop' })
    await expect(exchange()).rejects.toThrow('socket hang up')
    expect(outcomes()).toEqual(['drop'])
  })

  test('200 and no credentials', async () => {
    aws.failNext({ kind: 'empty' }, { times: 2 })
    const { Credentials, $metadata } = await exchange()
    expect([$metadata.httpStatusCode, Credentials]).toEqual([200, undefined])
    const provider = fromWebToken({
      webIdentityToken: await issuer.token(),
      roleArn: ROLE,
      clientConfig: { endpoint: aws.url, region: 'us-east-1' },
    })
    await expect(provider()).rejects.toThrow('Invalid response from STS')
    expect(outcomes()).toEqual(['empty', 'empty'])
  })

  test('nothing of it keeps the server from closing', async () => {
    const going = await startLocalAws({ issuer: issuer.url })
    going.failNext({ kind: 'hang' })
    going.failNext({ kind: 'delay', ms: 3_600_000 })
    const post = () => fetch(going.url, { method: 'POST', body: 'Action=GetCallerIdentity' })
    const both = Promise.allSettled([post(), post()])
    while (going.calls.length < 2) await new Promise((resolve) => setImmediate(resolve))
    await going.close()
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})
