import { AssumeRoleCommand, GetCallerIdentityCommand, type STSClient } from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { keysOf, refusal, stsClient, type Keys } from '../../test/support/sts-client.js'
import { WALLET } from '../../test/support/oidc-issuer.js'
import { DATA_ROLE_ARN, USER_ARN, USER_KEY } from './default-account.js'
import { startLocalAws, type LocalAws } from './server.js'

let aws: LocalAws
/** How far the server's clock is ahead of ours, or where it stands. */
let ahead: number
let standsAt: number | undefined

beforeEach(async () => {
  ahead = 0
  standsAt = undefined
  aws = await startLocalAws({
    issuer: 'https://broker.example.com',
    now: () => new Date(standsAt ?? Date.now() + ahead),
  })
})

afterEach(() => aws.close())

interface HttpRequest {
  method: string
  protocol: string
  hostname: string
  port?: number
  path: string
  query: Record<string, string>
  headers: Record<string, string>
  body?: string
}

interface Signer {
  sign(request: HttpRequest, options?: { signingDate: Date }): Promise<HttpRequest>
  presign(request: HttpRequest, options: { expiresIn: number }): Promise<HttpRequest>
}

/** The signer of the SDK itself, for requests the SDK would never send. */
async function signer(keys: Keys = USER_KEY, service = 'sts'): Promise<Signer> {
  const config = stsClient(aws.url, keys).config as unknown as { signer: (scheme: object) => Promise<Signer> }
  return config.signer({ name: 'sigv4', signingName: service, signingRegion: 'eu-central-1', properties: {} })
}

function unsigned(changes: Partial<HttpRequest> = {}): HttpRequest {
  const { hostname, port, host } = new URL(aws.url)
  return {
    method: 'POST',
    protocol: 'http:',
    hostname,
    port: Number(port),
    path: '/',
    query: {},
    headers: { host, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'Action=GetCallerIdentity&Version=2011-06-15',
    ...changes,
  }
}

async function send({
  method,
  headers,
  body,
  query,
}: HttpRequest): Promise<{ status: number; code: string }> {
  const { host: _, ...rest } = headers
  const search =
    Object.keys(query).length > 0 ? `/?${new URLSearchParams(query).toString().replaceAll('+', '%20')}` : ''
  const response = await fetch(`${aws.url}${search}`, {
    method,
    headers: rest,
    ...(method === 'POST' && body ? { body } : {}),
  })
  const text = await response.text()
  return {
    status: response.status,
    code: /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? /<Arn>(.*)<\/Arn>/.exec(text)?.[1] ?? '',
  }
}

const whoAmI = (client: STSClient) => client.send(new GetCallerIdentityCommand({}))

async function sessionKeys(): Promise<Keys> {
  const Tags = [{ Key: 'agentkeys_user_wallet', Value: WALLET }]
  const ask = { RoleArn: DATA_ROLE_ARN, RoleSessionName: 'agentkeys-1', DurationSeconds: 900, Tags }
  return keysOf(await stsClient(aws.url, USER_KEY).send(new AssumeRoleCommand(ask)))
}

const mismatch = { status: 403, code: 'SignatureDoesNotMatch' }
const incomplete = { status: 400, code: 'IncompleteSignature' }

describe('a signature in the header', () => {
  test('is good in any region', async () => {
    expect(await send(await (await signer()).sign(unsigned()))).toEqual({ status: 200, code: USER_ARN })
  })

  test('by another secret is refused', async () => {
    const wrong = { ...USER_KEY, secretAccessKey: USER_KEY.secretAccessKey.toLowerCase() }
    expect(await refusal(whoAmI(stsClient(aws.url, wrong)))).toMatchObject({
      name: 'SignatureDoesNotMatch',
      status: 403,
    })
  })

  test('covers the body', async () => {
    const signed = await (await signer()).sign(unsigned())
    expect(await send({ ...signed, body: `${signed.body}&Extra=1` })).toEqual(mismatch)
  })

  test('covers its headers', async () => {
    const signed = await (await signer()).sign(unsigned())
    expect(await send({ ...signed, headers: { ...signed.headers, 'content-type': 'text/plain' } })).toEqual(
      mismatch,
    )
  })

  test('covers the query', async () => {
    const signed = await (await signer()).sign(unsigned())
    expect(await send({ ...signed, query: { extra: '1' } })).toEqual(mismatch)
  })

  test('must cover every X-Amz- header', async () => {
    const signed = await (await signer()).sign(unsigned())
    expect(await send({ ...signed, headers: { ...signed.headers, 'x-amz-added': '1' } })).toEqual(mismatch)
  })

  test('must cover the host', async () => {
    const signed = await (await signer()).sign(unsigned())
    const authorization = (signed.headers['authorization'] ?? '').replace('host;', '')
    expect(authorization).not.toContain('host')
    expect(await send({ ...signed, headers: { ...signed.headers, authorization } })).toEqual(mismatch)
  })

  test('for another service is refused', async () => {
    expect(await send(await (await signer(USER_KEY, 's3')).sign(unsigned()))).toEqual(mismatch)
  })

  test.each([16, -16])('that is %i minutes old is refused', async (minutes) => {
    const signed = await (await signer()).sign(unsigned())
    ahead = minutes * 60_000
    expect(await send(signed)).toEqual(mismatch)
  })

  test.each([14, -14])('that is %i minutes old is good', async (minutes) => {
    const signed = await (await signer()).sign(unsigned())
    ahead = minutes * 60_000
    expect(await send(signed)).toEqual({ status: 200, code: USER_ARN })
  })

  test('whose scope has another day is refused', async () => {
    const signed = await (await signer()).sign(unsigned())
    const authorization = (signed.headers['authorization'] ?? '').replace(/\/\d{8}\//, '/20200101/')
    expect(await send({ ...signed, headers: { ...signed.headers, authorization } })).toEqual(mismatch)
  })

  test.each<[string, (authorization: string) => string]>([
    ['another scheme', () => 'Bearer abc'],
    ['no signature', (one) => one.replace(/, ?Signature=.*/, '')],
    ['a signature that is no hex', (one) => one.replace(/Signature=.{4}/, 'Signature=zzzz')],
    ['a short credential', (one) => one.replace('/aws4_request', '')],
    ['no signed headers', (one) => one.replace(/SignedHeaders=[^,]*, ?/, '')],
  ])('with %s is incomplete', async (_, change) => {
    const signed = await (await signer()).sign(unsigned())
    const authorization = change(signed.headers['authorization'] ?? '')
    expect(await send({ ...signed, headers: { ...signed.headers, authorization } })).toEqual(incomplete)
  })

  test('without a date is incomplete', async () => {
    const { headers, ...signed } = await (await signer()).sign(unsigned())
    const { 'x-amz-date': _, ...rest } = headers
    expect(await send({ ...signed, headers: rest })).toEqual(incomplete)
  })
})

describe('a presigned URL', () => {
  const query = { Action: 'GetCallerIdentity', Version: '2011-06-15', note: "a b*'()~+/=" }
  const presigned = async (expiresIn: number, keys: Keys = USER_KEY) => {
    const { body: _, ...request } = unsigned({ method: 'GET', query })
    return (await signer(keys)).presign(
      { ...request, headers: { host: request.headers['host'] ?? '' } },
      { expiresIn },
    )
  }

  test('says who made it', async () => {
    expect(await send(await presigned(60))).toEqual({ status: 200, code: USER_ARN })
  })

  test('works with a session, whose token is in the query', async () => {
    const arn = 'arn:aws:sts::111122223333:assumed-role/agentkeys-data-role/agentkeys-1'
    expect(await send(await presigned(60, await sessionKeys()))).toEqual({ status: 200, code: arn })
  })

  test('is refused once it has expired', async () => {
    const url = await presigned(60)
    ahead = 61_000
    expect(await send(url)).toEqual(mismatch)
  })

  test('is refused when its query was changed', async () => {
    const url = await presigned(60)
    expect(await send({ ...url, query: { ...url.query, note: 'other' } })).toEqual(mismatch)
    expect(await send({ ...url, query: { ...url.query, 'X-Amz-Expires': '600' } })).toEqual(mismatch)
  })

  test.each(['604801', 'never', '-1'])('is incomplete with the lifetime %s', async (lifetime) => {
    const url = await presigned(60)
    expect(await send({ ...url, query: { ...url.query, 'X-Amz-Expires': lifetime } })).toEqual(incomplete)
  })

  test('and a signed header at once are one too many', async () => {
    const url = await presigned(60)
    expect(await send({ ...url, headers: { authorization: 'AWS4-HMAC-SHA256 Credential=a' } })).toEqual(
      incomplete,
    )
  })
})

describe('a caller', () => {
  test('without a signature gets the error that asks for one', async () => {
    expect(await send(unsigned())).toEqual({ status: 403, code: 'MissingAuthenticationToken' })
  })

  test('with an unknown key is unknown', async () => {
    const nobody = { accessKeyId: 'AKIAAAAAAAAAAAAAAAAA', secretAccessKey: USER_KEY.secretAccessKey }
    expect(await refusal(whoAmI(stsClient(aws.url, nobody)))).toMatchObject({
      name: 'InvalidClientTokenId',
      status: 403,
    })
  })

  test('with a session key is unknown without its token, or with another', async () => {
    const { accessKeyId, secretAccessKey, sessionToken = '' } = await sessionKeys()
    const unknown = { name: 'InvalidClientTokenId', status: 403 }
    expect(await refusal(whoAmI(stsClient(aws.url, { accessKeyId, secretAccessKey })))).toMatchObject(unknown)
    const other = { accessKeyId, secretAccessKey, sessionToken: `${sessionToken}A` }
    expect(await refusal(whoAmI(stsClient(aws.url, other)))).toMatchObject(unknown)
  })

  test('with a static key is unknown if a session token comes with it', async () => {
    const mixed = { ...USER_KEY, sessionToken: 'stray' }
    expect(await refusal(whoAmI(stsClient(aws.url, mixed)))).toMatchObject({
      name: 'InvalidClientTokenId',
      status: 403,
    })
  })

  test('with a session key and another secret is refused', async () => {
    const wrong = { ...(await sessionKeys()), secretAccessKey: USER_KEY.secretAccessKey }
    expect(await refusal(whoAmI(stsClient(aws.url, wrong)))).toMatchObject({
      name: 'SignatureDoesNotMatch',
      status: 403,
    })
  })

  test('is refused when the session has ended, to the second', async () => {
    const keys = await sessionKeys()
    const { accessKeyId } = keys
    const end = aws.session(accessKeyId)?.expiresAt.getTime() ?? 0
    const request = await (await signer(keys)).sign(unsigned(), { signingDate: new Date(end - 60_000) })
    standsAt = end - 1_000
    expect(await send(request)).toMatchObject({ status: 200 })
    standsAt = end
    expect(await send(request)).toEqual({ status: 403, code: 'ExpiredToken' })
  })
})
