import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

import { STSClient } from '@aws-sdk/client-sts'
import { afterEach, describe, expect, test } from '@jest/globals'

import { regionalEndpoint } from '../config/sts-endpoint.js'
import type { CredsFailureCode } from '../domain/ledger/events.js'
import { freePort } from '../../test/support/free-port.js'
import {
  answered,
  callerIdentity,
  dripping,
  endless,
  IDENTITY,
  ISSUED,
  issued,
  refused,
  type Reply,
  reset,
  type ScriptedSts,
  scriptedSts,
  silent,
  spoken,
  stalled,
  torn,
} from '../../test/support/scripted-sts.js'
import '../../test/support/one-realm.js'
import { SdkSts, type SdkStsOptions } from './sdk-sts.js'
import { StsError } from './sts.js'

/** For what never answers: the question has long arrived by then. */
const PATIENCE_MS = 2_000
const NOW = Date.parse('2026-11-20T12:00:00Z')
const WALLET = '0x00112233445566778899aabbccddeeff00112233'
const HEADER = 'eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9'
const PAYLOAD = 'eyJzdWIiOiJjYW5hcnktcGF5bG9hZC1vZi10aGUtdG9rZW4ifQ'
const SIGNATURE = 'canary_signature_of_the_token_0123456789abcdef'
const JWT = `${HEADER}.${PAYLOAD}.${SIGNATURE}`
const STATIC_KEYS = {
  accessKeyId: 'AKIAEXAMPLEEXAMPLE01',
  secretAccessKey: 'canary-static-secret-access-key-00001',
}
const CANARIES = [JWT, HEADER, PAYLOAD, SIGNATURE, STATIC_KEYS.secretAccessKey, ...Object.values(ISSUED)]

const ASK = {
  roleArn: 'arn:aws:iam::111122223333:role/agents/agentkeys-data-role',
  roleSessionName: 'ak-01930a5c-7d00-7abc-8def-0123456789ab',
  durationSeconds: 3600,
}
const WEB = { jwt: JWT, identity: IDENTITY }
const TAGGED = {
  ...ASK,
  tags: { agentkeys_user_wallet: WALLET },
  transitiveTagKeys: ['agentkeys_user_wallet'],
}

const GRANTED = {
  accessKeyId: ISSUED.AccessKeyId,
  secretAccessKey: ISSUED.SecretAccessKey,
  sessionToken: ISSUED.SessionToken,
  expiresAt: new Date('2026-11-20T13:00:00Z'),
  assumedRoleArn:
    'arn:aws:sts::111122223333:assumed-role/agentkeys-data-role/ak-01930a5c-7d00-7abc-8def-0123456789ab',
}

const open: { close?: () => void; stop?: () => Promise<void> }[] = []
const variables = new Map<string, string | undefined>()
afterEach(async () => {
  for (const one of open.splice(0)) await (one.close?.() ?? one.stop?.())
  for (const [name, value] of variables) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  variables.clear()
})

function setVariables(values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) {
    variables.set(name, process.env[name])
    process.env[name] = value
  }
}

async function script(...replies: Reply[]): Promise<ScriptedSts> {
  const sts = await scriptedSts(...replies)
  open.push(sts)
  return sts
}

/** The clock stands at NOW, and only pauses move it. */
function broker(endpoint: string, options: Partial<SdkStsOptions> = {}) {
  const pauses: number[] = []
  let now = NOW
  const sts = new SdkSts({
    access: { mode: 'web-identity' },
    kind: 'aws',
    region: 'eu-central-1',
    endpoint,
    now: () => now,
    sleep: (ms) => {
      pauses.push(ms)
      now += ms
      return Promise.resolve()
    },
    ...options,
  })
  open.push(sts)
  return { sts, pauses }
}

const assuming = (endpoint: string, options: Partial<SdkStsOptions> = {}) =>
  broker(endpoint, { access: { mode: 'assume-role', staticKeys: STATIC_KEYS }, ...options })

/** A listener that is asleep and whose queue is full: the kernel drops every further attempt to connect. */
async function nobodyAccepts() {
  const listener = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port)
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
     })`,
    { eval: true },
  )
  const [port] = (await once(listener, 'message')) as [number]
  const queue = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
  await once(queue[0] as Socket, 'connect')
  const end = async () => {
    for (const socket of queue) socket.destroy()
    await listener.terminate()
  }
  return { url: `http://127.0.0.1:${port}`, end }
}

async function rejection(promise: Promise<unknown>): Promise<StsError> {
  const error = await promise.then(
    () => new Error('it resolved'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StsError)
  return error as StsError
}

/** Everything a logger could print of an error, hidden members included. */
function everythingIn(error: Error): string {
  const members = Object.getOwnPropertyNames(error).map((name) => String(Reflect.get(error, name)))
  return [String(error), ...members, String(error.cause)].join('\n')
}

function expectFit(error: StsError): void {
  for (const canary of CANARIES) expect(everythingIn(error)).not.toContain(canary)
  expect(error.message.length).toBeLessThanOrEqual(512)
  expect(error.message).not.toMatch(/\p{C}/u)
}

const COULD_NOT_RETRIEVE =
  "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"

describe('web identity', () => {
  test('a token is exchanged for the session that was asked for', async () => {
    const aws = await script(issued())
    expect(await broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB })).toEqual(GRANTED)
    expect(Object.fromEntries(aws.requests[0]?.form ?? [])).toEqual({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: ASK.roleArn,
      RoleSessionName: ASK.roleSessionName,
      DurationSeconds: '3600',
      WebIdentityToken: JWT,
    })
  })

  test('the request is unsigned, whatever AWS credentials and preferences the environment has', async () => {
    setVariables({
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLEEXAMPLE02',
      AWS_SECRET_ACCESS_KEY: 'canary-secret-of-the-environment',
      AWS_SESSION_TOKEN: 'canary-session-token-of-the-environment',
      AWS_AUTH_SCHEME_PREFERENCE: 'sigv4a,sigv4',
    })
    const aws = await script(issued(), refused('MissingAuthenticationToken', 403, 'Missing'), issued())
    const { sts } = broker(aws.url)
    await sts.withWebIdentity({ ...ASK, ...WEB })
    await sts.checkIdentity()
    await assuming(aws.url).sts.withWebIdentity({ ...ASK, ...WEB })

    expect(aws.requests).toHaveLength(3)
    for (const { head, form } of aws.requests) {
      expect(head).not.toMatch(/^(?:authorization|x-amz-security-token|x-amz-date):/im)
      expect(`${head}${form.toString()}`).not.toMatch(/canary-|AKIA|X-Amz-Signature/i)
      expect(head).not.toContain(SIGNATURE)
    }
  })

  test('no other setting of AWS sends the token to another endpoint', async () => {
    const aws = await script(issued())
    const thief = await script(issued(), issued())
    const file = join(mkdtempSync(join(tmpdir(), 'aws-config-')), 'config')
    writeFileSync(
      file,
      `[default]\nservices = s\nendpoint_url = ${thief.url}\n[services s]\nsts =\n  endpoint_url = ${thief.url}\n`,
    )
    setVariables({
      AWS_CONFIG_FILE: file,
      AWS_ENDPOINT_URL: thief.url,
      AWS_ENDPOINT_URL_STS: thief.url,
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_USE_DUALSTACK_ENDPOINT: 'true',
      AWS_REGION: 'eu-west-3',
    })
    expect(await broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB })).toEqual(GRANTED)
    expect(thief.requests).toEqual([])
  })

  test('AWS_MAX_ATTEMPTS does not let the SDK ask again on its own', async () => {
    setVariables({ AWS_MAX_ATTEMPTS: '5', AWS_RETRY_MODE: 'adaptive' })
    const aws = await script(refused('AccessDenied', 403, 'no'), issued())
    const failed = await rejection(broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB }))
    expect(failed.code).toBe('access-denied')
    expect(aws.requests).toHaveLength(1)
  })
})

describe('what STS answers', () => {
  interface Row {
    wire: string
    status: number
    message: string
    code: CredsFailureCode
    attempts: 1 | 3
  }
  const rows: Row[] = [
    {
      wire: 'AccessDenied',
      status: 403,
      message: 'Not authorized to perform sts:AssumeRoleWithWebIdentity',
      code: 'access-denied',
      attempts: 1,
    },
    {
      wire: 'InvalidIdentityToken',
      status: 400,
      message: 'Incorrect token audience',
      code: 'invalid-identity-token',
      attempts: 1,
    },
    {
      wire: 'InvalidIdentityToken',
      status: 400,
      message: COULD_NOT_RETRIEVE,
      code: 'key-retrieval-failed',
      attempts: 3,
    },
    {
      wire: 'ExpiredTokenException',
      status: 400,
      message: 'Token expired: current date/time must be before',
      code: 'expired-token',
      attempts: 1,
    },
    {
      wire: 'IDPRejectedClaim',
      status: 403,
      message: 'Claim revoked',
      code: 'idp-rejected-claim',
      attempts: 1,
    },
    {
      wire: 'IDPCommunicationError',
      status: 400,
      message: 'Unable to reach',
      code: 'idp-communication-error',
      attempts: 3,
    },
    {
      wire: 'PackedPolicyTooLarge',
      status: 400,
      message: 'Packed size 112% of the limit',
      code: 'packed-policy-too-large',
      attempts: 1,
    },
    {
      wire: 'MalformedPolicyDocument',
      status: 400,
      message: 'Syntax errors in policy',
      code: 'malformed-policy',
      attempts: 1,
    },
    {
      wire: 'RegionDisabledException',
      status: 403,
      message: 'STS is not activated in this region',
      code: 'region-disabled',
      attempts: 1,
    },
    { wire: 'Throttling', status: 400, message: 'Rate exceeded', code: 'throttled', attempts: 3 },
    {
      wire: 'ValidationError',
      status: 400,
      message: 'exceeds the MaxSessionDuration set for this role',
      code: 'validation-error',
      attempts: 1,
    },
    { wire: 'InternalFailure', status: 500, message: 'Internal', code: 'unreachable', attempts: 3 },
    { wire: 'ServiceUnavailable', status: 503, message: 'down', code: 'unreachable', attempts: 3 },
    { wire: 'constructor', status: 400, message: 'a name every object has', code: 'unexpected', attempts: 1 },
  ]

  test.each(rows)('$wire $message: $code after $attempts', async (row) => {
    const reply = refused(row.wire, row.status, row.message)
    const aws = await script(reply, reply, reply, issued())
    const { sts, pauses } = broker(aws.url)
    const failed = await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))

    expect(failed.code).toBe(row.code)
    expect(failed.message.startsWith(`${row.wire}: ${row.message} (`)).toBe(true)
    expectFit(failed)
    expect(aws.requests).toHaveLength(row.attempts)
    expect(pauses).toHaveLength(row.attempts - 1)
  })

  test.each(rows)('$wire $message: no part of the token is repeated', async (row) => {
    const leaks = [JWT, SIGNATURE, PAYLOAD.slice(0, 20), SIGNATURE.replace(/.{8}/g, '$&\n')]
    for (const leak of leaks) {
      const reply = refused(row.wire, row.status, `${row.message}: ${leak}`)
      const aws = await script(reply, reply, reply)
      const failed = await rejection(broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB }))
      expect(failed.code).toBe(row.code)
      expect(failed.message).toContain('the message repeated a secret and is withheld')
      expectFit(failed)
    }
  })

  test('a token in place of the error code is not repeated either', async () => {
    for (const wire of [JWT, `x${SIGNATURE}`]) {
      const aws = await script(refused(wire, 400, 'no'))
      const failed = await rejection(broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB }))
      expect(failed.code).toBe('unexpected')
      expectFit(failed)
    }
  })

  test('a long message with control, bidi and half characters becomes one short clean line', async () => {
    const nasty = `no\r\n\u001b[31mred\u202e\u0000 ${'\u{1F511}'.repeat(900)}`
    const aws = await script(
      refused('AccessDenied', 403, nasty.replace('\u001b', '&#x85;').replace('\u0000', '')),
    )
    const failed = await rejection(broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB }))
    expectFit(failed)
    expect(failed.message.isWellFormed()).toBe(true)
    expect(failed.message).toMatch(/^AccessDenied: no .*red .*… \(the trust policy/)
  })

  test('a failure that passes is asked again, and the session of the last attempt is handed over', async () => {
    const aws = await script(refused('Throttling', 400, 'Rate exceeded'), reset, issued())
    const { sts, pauses } = broker(aws.url)
    expect(await sts.withWebIdentity({ ...ASK, ...WEB })).toEqual(GRANTED)
    expect(aws.requests).toHaveLength(3)
    expect(pauses[0]).toBeGreaterThanOrEqual(200)
    expect(pauses[0]).toBeLessThanOrEqual(400)
    expect(pauses[1]).toBeGreaterThanOrEqual(400)
    expect(pauses[1]).toBeLessThanOrEqual(800)
  })

  test('a pause that would end after the budget is not begun', async () => {
    const reply = refused('Throttling', 400, 'Rate exceeded')
    const aws = await script(reply, reply, reply)
    // Each attempt takes 9.8 of the 20 seconds. The first pause is at most 400 ms, the second at least 400 ms.
    const { sts, pauses } = broker(aws.url, { now: () => NOW + 9_800 * aws.requests.length })
    expect((await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))).code).toBe('throttled')
    expect(aws.requests).toHaveLength(2)
    expect(pauses).toHaveLength(1)
  })
})

describe('what is no answer', () => {
  interface Row {
    what: string
    reply: Reply
    code: CredsFailureCode
    attempts: 1 | 3
  }
  const secret = ISSUED.SecretAccessKey
  const rows: Row[] = [
    { what: 'a reset before an answer', reply: reset, code: 'unreachable', attempts: 3 },
    { what: 'a reset inside the answer', reply: torn, code: 'unreachable', attempts: 3 },
    { what: 'an end before an answer', reply: spoken(''), code: 'unreachable', attempts: 3 },
    { what: 'silence', reply: silent, code: 'timeout', attempts: 1 },
    { what: 'an answer that never ends', reply: stalled, code: 'timeout', attempts: 1 },
    { what: 'an answer that drips for ever', reply: dripping, code: 'timeout', attempts: 1 },
    { what: 'a body without end', reply: endless, code: 'unexpected', attempts: 1 },
    { what: 'not HTTP', reply: spoken(`SSH-2.0-${secret}\r\n`), code: 'unexpected', attempts: 1 },
    {
      what: 'a page of a proxy',
      reply: answered(502, `<html>${secret}</html>`, 'text/html'),
      code: 'unreachable',
      attempts: 3,
    },
    { what: 'an empty 503', reply: answered(503, ''), code: 'unreachable', attempts: 3 },
    { what: 'a redirect', reply: answered(302, ''), code: 'unexpected', attempts: 1 },
    {
      what: 'JSON with status 400',
      reply: answered(400, `{"e":"${secret}"}`, 'application/json'),
      code: 'unexpected',
      attempts: 1,
    },
    {
      what: 'JSON with status 200',
      reply: answered(200, `{"e":"${secret}"}`, 'application/json'),
      code: 'unexpected',
      attempts: 1,
    },
    { what: 'broken XML', reply: answered(200, `<<${secret}`), code: 'unexpected', attempts: 1 },
    {
      what: 'a date that is none',
      reply: issued({ Expiration: `tomorrow ${secret}` }),
      code: 'unexpected',
      attempts: 1,
    },
  ]

  test.each(rows)('$what: $code after $attempts', async ({ reply, code, attempts }) => {
    const aws = await script(reply, reply, reply, issued())
    const timeouts = {
      connectMs: 5_000,
      attemptMs: code === 'timeout' ? PATIENCE_MS : 10_000,
      totalMs: 20_000,
    }
    const failed = await rejection(broker(aws.url, { timeouts }).sts.withWebIdentity({ ...ASK, ...WEB }))
    expect(failed.code).toBe(code)
    expectFit(failed)
    expect(aws.requests).toHaveLength(attempts)
  })

  test('a reply past 64 KiB is named as what it is, at readiness too', async () => {
    const { sts } = broker((await script(endless)).url)
    const failed = await rejection(sts.checkIdentity())
    expect(failed.message).toContain('the reply is larger than 64 KiB')
  })

  test('a wait for our own 256 connections to end is not the fault of STS', async () => {
    const aws = await script(...Array.from({ length: 257 }, () => silent))
    const timeouts = { connectMs: 60_000, attemptMs: PATIENCE_MS, totalMs: 60_000 }
    const { sts } = broker(aws.url, { timeouts })
    const asked = Array.from({ length: 257 }, () => rejection(sts.withWebIdentity({ ...ASK, ...WEB })))
    const names = (await Promise.all(asked)).map(({ name }) => name)
    expect(new Set(names.slice(0, 256))).toEqual(new Set(['StsError']))
    expect(names[256]).toBe('StsOverloaded')
  })

  test('a refused connection is tried three times', async () => {
    const { sts, pauses } = broker(`http://127.0.0.1:${await freePort()}`)
    const failed = await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))
    expect(failed.code).toBe('unreachable')
    expect(failed.message).toContain('ECONNREFUSED')
    expect(pauses).toHaveLength(2)
  })

  test('a connection no one accepts is given up in time and tried three times', async () => {
    const { url, end } = await nobodyAccepts()
    const timeouts = { connectMs: 100, attemptMs: 10_000, totalMs: 20_000 }
    const { sts, pauses } = broker(url, { timeouts })
    const failed = await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))
    await end()
    expect(failed.code).toBe('unreachable')
    expect(failed.message).toContain('no connection to STS in time')
    expect(pauses).toHaveLength(2)
  })

  test('a TLS failure is not asked again', async () => {
    const plain = createServer((socket) => socket.on('error', () => undefined).end('not TLS')).listen(
      0,
      '127.0.0.1',
    )
    await once(plain, 'listening')
    const { sts, pauses } = broker(`https://127.0.0.1:${(plain.address() as AddressInfo).port}`)
    const failed = await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))
    plain.close()
    expect(failed.code).toBe('unexpected')
    expect(pauses).toEqual([])
  })
})

describe('an STS that leaves out whose session it opened', () => {
  const CEPH_ROLE = 'arn:aws:iam:::role/reader'
  const SEAWEED_ROLE = 'arn:aws:iam::role/reader'
  const MINIO_ROLE = 'arn:minio:iam:::role/idmp-x'
  const session = (prefix: string) => `${prefix}assumed-role/reader/${ASK.roleSessionName}`
  const unnamed = { Audience: undefined, Provider: undefined, SourceIdentity: undefined }
  const rows: [
    what: string,
    roleArn: string,
    change: Record<string, string | undefined>,
    arn: string | null,
  ][] = [
    ['no AssumedRoleUser (SeaweedFS)', SEAWEED_ROLE, { ...unnamed, AssumedRoleUser: undefined }, null],
    [
      'an empty AssumedRoleUser (MinIO)',
      MINIO_ROLE,
      { ...unnamed, AssumedRoleUser: '<AssumedRoleUser/>' },
      null,
    ],
    ['an AssumedRoleUser without Arn', CEPH_ROLE, { Arn: undefined }, null],
    ['an empty Arn', CEPH_ROLE, { Arn: '' }, null],
    ['the session (Ceph)', CEPH_ROLE, { Arn: session('arn:aws:sts:::') }, session('arn:aws:sts:::')],
    ['the session (SeaweedFS)', SEAWEED_ROLE, { Arn: session('arn:aws:sts::') }, session('arn:aws:sts::')],
  ]

  test.each(rows)('%s', async (_what, roleArn, change, assumedRoleArn) => {
    const ask = { ...ASK, ...WEB, roleArn }
    const { sts } = broker((await script(issued(change))).url, { kind: 's3-compatible' })
    expect(await sts.withWebIdentity(ask)).toEqual({ ...GRANTED, assumedRoleArn })
    // Of AWS, the same answer is refused, and the message names the member.
    const strict = await rejection(broker((await script(issued(change))).url).sts.withWebIdentity(ask))
    expect(strict.message).toMatch(
      /STS answered 200 with(?:out (?:AssumedRoleUser\.Arn|Audience)| another Provider)/,
    )
  })

  const refusals: [what: string, change: Record<string, string | undefined>, message: RegExp][] = [
    ['another role', { Arn: 'arn:aws:sts:::assumed-role/writer/x' }, /another role or session/],
    ['another session', { Arn: 'arn:aws:sts:::assumed-role/reader/x' }, /another role or session/],
    ['an account that the role has not', { Arn: session('arn:aws:sts::1:') }, /another role or session/],
    ['another subject', { SubjectFromWebIdentityToken: 'canary' }, /another SubjectFromWebIdentityToken/],
    ['no subject', { SubjectFromWebIdentityToken: undefined }, /without SubjectFromWebIdentityToken/],
    ['another audience', { Audience: 'canary' }, /another Audience/],
    ['another source identity', { SourceIdentity: 'canary' }, /another SourceIdentity/],
    ['no access key', { AccessKeyId: undefined }, /without AccessKeyId/],
    ['no session token', { SessionToken: undefined }, /without SessionToken/],
    ['credentials that have expired', { Expiration: '2026-11-20T11:59:59Z' }, /have expired/],
    ['credentials for longer', { Expiration: '2026-11-20T14:00:00Z' }, /outlive what was asked for/],
  ]

  test.each(refusals)('%s is refused of either kind', async (_what, change, message) => {
    for (const kind of ['s3-compatible', 'aws'] as const) {
      const roleArn = kind === 'aws' ? ASK.roleArn : CEPH_ROLE
      const { sts } = broker((await script(issued(change))).url, { kind })
      const failed = await rejection(sts.withWebIdentity({ ...ASK, ...WEB, roleArn }))
      expect(failed.message).toMatch(message)
      expect(failed.message).not.toContain('canary')
    }
  })

  test('AssumeRole: a source identity may be left out, and must not be another', async () => {
    const ask = { ...TAGGED, roleArn: CEPH_ROLE, sourceIdentity: 'ann' }
    const answers = [{}, { SourceIdentity: undefined }, { SourceIdentity: 'canary' }]
    const aws = await script(...answers.map((change) => issued({ ...change, AssumedRoleUser: undefined })))
    const { sts } = assuming(aws.url, { kind: 's3-compatible' })
    expect(await sts.assumeRole(ask)).toEqual({ ...GRANTED, assumedRoleArn: null })
    expect(await sts.assumeRole(ask)).toEqual({ ...GRANTED, assumedRoleArn: null })
    expect((await rejection(sts.assumeRole(ask))).message).toContain('another SourceIdentity')
  })
})

describe('whom STS says it gave credentials to', () => {
  const members = ['SubjectFromWebIdentityToken', 'Audience', 'Provider', 'SourceIdentity'] as const

  test.each(members)('another or no %s: nothing is handed over', async (member) => {
    const aws = await script(issued({ [member]: 'canary-of-another' }), issued({ [member]: undefined }))
    const { sts } = broker(aws.url)
    const other = await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))
    expect(other.code).toBe('credentials-unusable')
    expect(other.message).toContain(`another ${member} than was asked for`)
    expect(other.message).not.toContain('canary')
    const missing = await rejection(sts.withWebIdentity({ ...ASK, ...WEB }))
    expect(missing.code).toBe('empty-response')
    expect(missing.message).toContain(`without ${member}`)
  })

  test('a source identity that nothing asked for is another one', async () => {
    const { issuer, subject, audience } = IDENTITY
    const { sts } = broker((await script(issued())).url)
    const ask = { ...ASK, jwt: JWT, identity: { issuer, subject, audience } }
    expect((await rejection(sts.withWebIdentity(ask))).code).toBe('credentials-unusable')
  })

  test.each([
    ['https://broker.example.com', true],
    ['broker.example.com', true],
    ['arn:aws:iam::444455556666:oidc-provider/broker.example.com', false],
    ['arn:aws:iam::111122223333:oidc-provider/broker.example.com/x', false],
  ])('the provider %s: %p', async (Provider, fits) => {
    const { sts } = broker((await script(issued({ Provider }))).url)
    const minted = sts.withWebIdentity({ ...ASK, ...WEB })
    if (fits) expect(await minted).toEqual(GRANTED)
    else expect((await rejection(minted)).code).toBe('credentials-unusable')
  })

  test('assume role: another or no source identity', async () => {
    const aws = await script(issued({ SourceIdentity: 'another' }), issued({ SourceIdentity: undefined }))
    const { sts } = assuming(aws.url)
    const ask = { ...TAGGED, sourceIdentity: WALLET }
    expect((await rejection(sts.assumeRole(ask))).code).toBe('credentials-unusable')
    expect((await rejection(sts.assumeRole(ask))).code).toBe('empty-response')
  })
})

describe('a success that is none', () => {
  const rows: [string, Reply, CredsFailureCode][] = [
    ['an empty body', answered(200, ''), 'empty-response'],
    ['no access key id', issued({ AccessKeyId: undefined }), 'empty-response'],
    ['an empty secret', issued({ SecretAccessKey: '' }), 'empty-response'],
    ['no session token', issued({ SessionToken: undefined }), 'empty-response'],
    ['no expiry', issued({ Expiration: undefined }), 'empty-response'],
    ['no assumed role', issued({ Arn: undefined }), 'empty-response'],
    ['expired at this very moment', issued({ Expiration: '2026-11-20T12:00:00Z' }), 'credentials-unusable'],
    ['expired long ago', issued({ Expiration: '2016-11-20T13:00:00Z' }), 'credentials-unusable'],
    ['valid for longer than asked', issued({ Expiration: '2026-11-20T13:05:01Z' }), 'credentials-unusable'],
    [
      'an access key id with markup',
      issued({ AccessKeyId: 'ASIA"><script>alert()' }),
      'credentials-unusable',
    ],
    ['a session token of two lines', issued({ SessionToken: 'abc\r\nX-Evil: 1' }), 'credentials-unusable'],
    [
      'another role',
      issued({ Arn: GRANTED.assumedRoleArn.replace('data-role', 'admin') }),
      'credentials-unusable',
    ],
    [
      'another account',
      issued({ Arn: GRANTED.assumedRoleArn.replace('1111', '4444') }),
      'credentials-unusable',
    ],
    ['another session', issued({ Arn: `${GRANTED.assumedRoleArn}x` }), 'credentials-unusable'],
  ]
  test.each(rows)('%s: %p', async (_, reply, code) => {
    for (const mode of ['web-identity', 'assume-role']) {
      const aws = await script(reply, issued())
      const failed = await rejection(
        mode === 'web-identity'
          ? broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB })
          : assuming(aws.url).sts.assumeRole(TAGGED),
      )
      expect(failed.code).toBe(code)
      expectFit(failed)
      expect(aws.requests).toHaveLength(1)
    }
  })

  test('five minutes between the clocks are allowed for', async () => {
    const aws = await script(issued({ Expiration: '2026-11-20T13:05:00Z' }))
    const { expiresAt } = await broker(aws.url).sts.withWebIdentity({ ...ASK, ...WEB })
    expect(expiresAt).toEqual(new Date('2026-11-20T13:05:00Z'))
  })
})

describe('assume role', () => {
  test('a session is opened with the keys, tags and source identity, signed for the region', async () => {
    const aws = await script(issued())
    expect(await assuming(aws.url).sts.assumeRole({ ...TAGGED, sourceIdentity: WALLET })).toEqual(GRANTED)
    expect(Object.fromEntries(aws.requests[0]?.form ?? [])).toEqual({
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: ASK.roleArn,
      RoleSessionName: ASK.roleSessionName,
      DurationSeconds: '3600',
      'Tags.member.1.Key': 'agentkeys_user_wallet',
      'Tags.member.1.Value': WALLET,
      'TransitiveTagKeys.member.1': 'agentkeys_user_wallet',
      SourceIdentity: WALLET,
    })
    expect(aws.requests[0]?.head).toMatch(
      /^authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEEXAMPLE01\/\d{8}\/eu-central-1\/sts\/aws4_request/im,
    )
  })

  test('without a source identity none is sent', async () => {
    const aws = await script(issued())
    await assuming(aws.url).sts.assumeRole(TAGGED)
    expect(aws.requests[0]?.form.has('SourceIdentity')).toBe(false)
  })

  test('what AWS says of its own keys is distinguished from what it says of the caller', async () => {
    for (const wire of [
      'InvalidClientTokenId',
      'ExpiredToken',
      'SignatureDoesNotMatch',
      'UnrecognizedClientException',
    ]) {
      const aws = await script(
        refused(wire, 403, 'The security token included in the request is invalid'),
        issued(),
      )
      const failed = await rejection(assuming(aws.url).sts.assumeRole(TAGGED))
      expect(failed.code).toBe('broker-credentials-refused')
      expect(aws.requests).toHaveLength(1)
    }
  })

  test("the broker's own keys are not repeated, be they static or from the environment", async () => {
    setVariables({
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLEEXAMPLE02',
      AWS_SECRET_ACCESS_KEY: 'canary-secret-of-the-environment',
      AWS_SESSION_TOKEN: 'canary-session-token-of-the-environment',
    })
    const leak = `${STATIC_KEYS.secretAccessKey} canary-session-token-of-the-environment`
    const aws = await script(refused('AccessDenied', 403, leak), refused('AccessDenied', 403, leak))
    for (const access of [
      { mode: 'assume-role', staticKeys: STATIC_KEYS },
      { mode: 'assume-role' },
    ] as const) {
      const failed = await rejection(broker(aws.url, { access }).sts.assumeRole(TAGGED))
      expect(failed.code).toBe('access-denied')
      expect(failed.message).not.toContain('canary')
    }
    expect(aws.requests[1]?.head).toMatch(/^x-amz-security-token: canary-session-token-of-the-environment/im)
  })

  test('without any AWS credentials nothing is sent, and the failure says so', async () => {
    setVariables({
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    })
    const aws = await script(issued())
    for (const access of [{ mode: 'assume-role' }, { mode: 'web-identity' }] as const) {
      const failed = await rejection(broker(aws.url, { access }).sts.assumeRole(TAGGED))
      expect(failed.code).toBe('broker-credentials-refused')
    }
    expect(aws.requests).toEqual([])
  })
})

describe('the check of start-up and readiness', () => {
  test('in assume-role mode it is a signed GetCallerIdentity', async () => {
    const aws = await script(
      callerIdentity,
      refused('InvalidClientTokenId', 403, 'invalid'),
      answered(200, ''),
    )
    const { sts } = assuming(aws.url)
    await sts.checkIdentity()
    expect(aws.requests[0]?.head).toMatch(/^authorization: AWS4-HMAC-SHA256 /im)
    expect((await rejection(sts.checkIdentity())).code).toBe('broker-credentials-refused')
    expect((await rejection(sts.checkIdentity())).code).toBe('empty-response')
  })

  test('in web-identity mode any error of STS shows that STS is there', async () => {
    const aws = await script(
      refused('MissingAuthenticationToken', 403, 'Request is missing Authentication Token'),
      refused('Throttling', 400, 'Rate exceeded'),
    )
    const { sts } = broker(aws.url)
    await sts.checkIdentity()
    await sts.checkIdentity()
    expect(aws.requests.map(({ form }) => form.get('Action'))).toEqual([
      'GetCallerIdentity',
      'GetCallerIdentity',
    ])
  })

  const impostors: [string, Reply][] = [
    ['a success', callerIdentity],
    ['an empty success', answered(200, '')],
    ['a login page', answered(200, '<html>log in</html>', 'text/html')],
    ['a page of a proxy', answered(403, '<html>forbidden</html>', 'text/html')],
    ['an empty 403', answered(403, '')],
    ['an STS that is down', refused('ServiceUnavailable', 503, 'down')],
    ['not HTTP', spoken('SSH-2.0-x\r\n')],
    ['resets', reset],
    ['silence', silent],
  ]
  test.each(impostors)('in web-identity mode %s is unreachable', async (_, reply) => {
    const aws = await script(reply, reply, reply)
    const timeouts = { connectMs: 5_000, attemptMs: reply === silent ? PATIENCE_MS : 10_000, totalMs: 20_000 }
    const failed = await rejection(broker(aws.url, { timeouts }).sts.checkIdentity())
    expect(failed.code).toBe('unreachable')
    expectFit(failed)
  })

  test('in web-identity mode a region without STS is named as such', async () => {
    const aws = await script(refused('RegionDisabledException', 403, 'STS is not activated in this region'))
    expect((await rejection(broker(aws.url).sts.checkIdentity())).code).toBe('region-disabled')
  })
})

test.each(['us-east-1', 'cn-north-1', 'us-gov-west-1', 'eusc-de-east-1', 'us-iso-east-1', 'us-isob-east-1'])(
  'the endpoint we resolve for %s is the one the SDK would take',
  (Region) => {
    const { endpointProvider } = new STSClient({ region: Region }).config
    const { url } = endpointProvider({
      Region,
      UseGlobalEndpoint: false,
      UseFIPS: false,
      UseDualStack: false,
    })
    expect(url.href).toBe(`${regionalEndpoint(Region)}/`)
  },
)

test('the log line names where the AWS credentials come from, and no key', () => {
  const line = (access: SdkStsOptions['access']) =>
    broker('http://127.0.0.1:1', { access }).sts.describeCredentials()
  expect(line({ mode: 'assume-role', staticKeys: STATIC_KEYS })).toBe(
    'AWS credentials: static IAM-user keys (DAEMON_ACCESS_KEY_ID env)',
  )
  expect(line({ mode: 'assume-role' })).toBe(
    'AWS credentials: SDK default chain (AWS_PROFILE / ~/.aws / IMDS)',
  )
  expect(line({ mode: 'web-identity' })).toBe(
    'AWS credentials: none needed (web identity: each call carries a JWT of this broker)',
  )
})
