import { randomBytes } from 'node:crypto'

import {
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  type AssumeRoleWithWebIdentityCommandInput,
} from '@aws-sdk/client-sts'
import { fromWebToken } from '@aws-sdk/credential-providers'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { XMLParser, XMLValidator } from 'fast-xml-parser'

import { ROLE, WALLET, startIssuer, type TestIssuer } from '../../test/support/oidc-issuer.js'
import { keysOf, refusal, stsClient } from '../../test/support/sts-client.js'
import { defaultAccount } from './default-account.js'
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

async function exchange(input: Partial<AssumeRoleWithWebIdentityCommandInput> = {}) {
  const WebIdentityToken = input.WebIdentityToken ?? (await issuer.token())
  const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', ...input, WebIdentityToken }
  return stsClient(aws.url).send(new AssumeRoleWithWebIdentityCommand(ask))
}

function post(form: Record<string, string>, init: RequestInit = {}): Promise<Response> {
  return fetch(aws.url, {
    method: 'POST',
    body: new URLSearchParams({ Version: '2011-06-15', ...form }),
    ...init,
  })
}

describe('a web identity token', () => {
  test('buys a session that GetCallerIdentity knows', async () => {
    const answer = await exchange()
    const arn = 'arn:aws:sts::111122223333:assumed-role/agentkeys-data-role/agentkeys-1'
    expect(answer).toMatchObject({
      SubjectFromWebIdentityToken: `agentkeys:agent:${WALLET}`,
      Audience: 'sts.amazonaws.com',
      SourceIdentity: WALLET,
      AssumedRoleUser: { Arn: arn },
    })
    const identity = await stsClient(aws.url, keysOf(answer)).send(new GetCallerIdentityCommand({}))
    expect(identity).toMatchObject({
      Arn: arn,
      Account: '111122223333',
      UserId: answer.AssumedRoleUser?.AssumedRoleId,
    })
  })

  test('is taken from the SDK provider that web identity clients use', async () => {
    const credentials = await fromWebToken({
      webIdentityToken: await issuer.token(),
      roleArn: ROLE,
      clientConfig: { endpoint: aws.url, region: 'us-east-1' },
    })()
    expect(aws.session(credentials.accessKeyId)).toMatchObject({ sourceIdentity: WALLET, roleArn: ROLE })
  })

  test('gives the session its tags, without a word about its secret', async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = keysOf(await exchange())
    const session = aws.session(accessKeyId)
    expect(Object.fromEntries(session?.principalTags ?? [])).toEqual({ agentkeys_user_wallet: WALLET })
    expect(JSON.stringify(session)).not.toContain(secretAccessKey)
    expect(JSON.stringify(session)).not.toContain(sessionToken)
  })

  test('may also come in the query of a GET', async () => {
    const query = new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: ROLE,
      RoleSessionName: 'agentkeys-1',
      WebIdentityToken: await issuer.token(),
    })
    expect((await fetch(`${aws.url}/?${query.toString()}`)).status).toBe(200)
  })
})

describe('a session', () => {
  test('lasts an hour unless asked otherwise, and ends at a whole second', async () => {
    const hourFromNow = () => Math.floor(Date.now() / 1000) + 3600
    const earliest = hourFromNow()
    const { Credentials } = await exchange()
    const seconds = (Credentials?.Expiration?.getTime() ?? 0) / 1000
    expect(seconds).toBeGreaterThanOrEqual(earliest)
    expect(seconds).toBeLessThanOrEqual(hourFromNow() + 1)
    expect(Number.isInteger(seconds)).toBe(true)
  })

  test('may be as short as 900 seconds, which is longer than its token', async () => {
    const now = Date.now()
    const { Credentials } = await exchange({ DurationSeconds: 900 })
    expect(Credentials?.Expiration?.getTime()).toBeGreaterThan(now + 600_000)
  })

  test('of more seconds than the role allows is refused', async () => {
    expect(await refusal(exchange({ DurationSeconds: 3601 }))).toMatchObject({
      name: 'ValidationError',
      status: 400,
    })
  })

  test.each([899, 43_201])('of %i seconds is refused', async (DurationSeconds) => {
    expect(await refusal(exchange({ DurationSeconds }))).toMatchObject({
      name: 'ValidationError',
      status: 400,
    })
  })

  test('of a role with a longer maximum may last that long', async () => {
    const account = defaultAccount(issuer.url)
    const [role] = account.roles
    if (role) role.maxSessionDuration = 43_200
    const longer = await startLocalAws({ account })
    try {
      const command = new AssumeRoleWithWebIdentityCommand({
        RoleArn: ROLE,
        RoleSessionName: 'agentkeys-1',
        WebIdentityToken: await issuer.token(),
        DurationSeconds: 43_200,
      })
      const now = Date.now()
      const { Credentials } = await stsClient(longer.url).send(command)
      expect(Credentials?.Expiration?.getTime()).toBeGreaterThan(now + 43_000_000)
    } finally {
      await longer.close()
    }
  })
})

describe('a request is refused', () => {
  test.each([
    ['a session name of one character', { RoleSessionName: 'a' }],
    ['a session name of 65 characters', { RoleSessionName: 'a'.repeat(65) }],
    ['a session name with a space', { RoleSessionName: 'agent keys' }],
    ['a role that is no ARN', { RoleArn: 'agentkeys-data-role-of-111122223333' }],
    ['a token of three characters', { WebIdentityToken: 'a.b' }],
    ['a token of more than 20,000 characters', { WebIdentityToken: 'a'.repeat(20_001) }],
    ['a ProviderId, which is for OAuth 2.0', { ProviderId: 'www.amazon.com' }],
    [
      'eleven policy ARNs',
      { PolicyArns: Array<object>(11).fill({ arn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' }) },
    ],
    ['a policy of 2,049 characters', { Policy: `{"Statement":[]}${' '.repeat(2033)}` }],
  ])('with %s', async (_, input) => {
    expect(await refusal(exchange(input))).toMatchObject({ name: 'ValidationError', status: 400 })
  })

  test.each(['{"Statement":', '[]x', '{"Version":"2012-10-17"}'])(
    'with the session policy %s',
    async (Policy) => {
      expect(await refusal(exchange({ Policy }))).toMatchObject({
        name: 'MalformedPolicyDocumentException',
        status: 400,
      })
    },
  )

  test('with session tags that pack too large', async () => {
    const tags = Object.fromEntries(
      Array.from({ length: 20 }, (_, at) => [`tag${at}`, [randomBytes(125).toString('hex')]]),
    )
    const account = defaultAccount(issuer.url)
    const roomy = await startLocalAws({
      account: { ...account, roles: [{ arn: ROLE, trustPolicy: anyTags(issuer.url) }] },
    })
    try {
      const token = await issuer.token({ 'https://aws.amazon.com/tags': { principal_tags: tags } })
      const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', WebIdentityToken: token }
      const refused = await refusal(stsClient(roomy.url).send(new AssumeRoleWithWebIdentityCommand(ask)))
      expect(refused).toMatchObject({ name: 'PackedPolicyTooLargeException', status: 400 })
      expect(refused.message).toMatch(/^Packed size of session tags consumes \d+% of allotted space\.$/)
    } finally {
      await roomy.close()
    }
  })

  test.each([
    ['an unknown action', { Action: 'GetSessionToken' }],
    ['no action', {}],
    ['another version', { Action: 'GetCallerIdentity', Version: '2011-06-16' }],
  ])('for %s', async (_, form) => {
    const response = await post(form)
    expect(response.status).toBe(400)
    expect(await response.text()).toContain('<Code>InvalidAction</Code>')
  })

  test('when a parameter is given twice', async () => {
    const body = 'Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15'
    const response = await fetch(aws.url, { method: 'POST', body })
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('more than once')])
  })

  test('on any path but the root', async () => {
    expect((await fetch(`${aws.url}/sts`, { method: 'POST', body: 'Action=GetCallerIdentity' })).status).toBe(
      400,
    )
  })

  test('when it is longer than any request can be', async () => {
    const response = await fetch(aws.url, { method: 'POST', body: 'x'.repeat(200_000) })
    expect(response.status).toBe(413)
  })

  test('when an X-Amz-Security-Token strays into the unsigned call', async () => {
    const form = { Action: 'AssumeRoleWithWebIdentity', RoleArn: ROLE, RoleSessionName: 'agentkeys-1' }
    const response = await post(
      { ...form, WebIdentityToken: await issuer.token() },
      { headers: { 'x-amz-security-token': 'stray' } },
    )
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining('retrieve verification key'),
    ])
  })
})

describe('the answer is well-formed XML', () => {
  test('when it has credentials', async () => {
    const form = { Action: 'AssumeRoleWithWebIdentity', RoleArn: ROLE, RoleSessionName: 'agentkeys-1' }
    const text = await (await post({ ...form, WebIdentityToken: await issuer.token() })).text()
    expect(XMLValidator.validate(text)).toBe(true)
    expect(text).toMatch(/<Expiration>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ<\/Expiration>/)
    expect(text).toMatch(/<PackedPolicySize>\d+<\/PackedPolicySize><SessionTokenUtilization>\d+</)
  })

  test('when the issuer is named after markup', async () => {
    const iss = 'https://a.example/<x>&"\'\u0007'
    const form = { Action: 'AssumeRoleWithWebIdentity', RoleArn: ROLE, RoleSessionName: 'agentkeys-1' }
    const response = await post({ ...form, WebIdentityToken: await issuer.token({ iss }) })
    const text = await response.text()
    expect(XMLValidator.validate(text)).toBe(true)
    expect(response.headers.get('content-type')).toBe('text/xml')
    const { ErrorResponse } = new XMLParser().parse(text) as {
      ErrorResponse: { Error: Record<string, string> }
    }
    expect(ErrorResponse.Error).toEqual({
      Type: 'Sender',
      Code: 'InvalidIdentityToken',
      Message: `No OpenIDConnect provider found in your account for https://a.example/<x>&"'\ufffd`,
    })
  })
})

describe('the server', () => {
  test.each(['0.0.0.0', '::', '192.0.2.1', 'example.com'])('does not listen on %s', async (host) => {
    await expect(startLocalAws({ issuer: issuer.url, host })).rejects.toThrow('must be a loopback address')
  })

  test('listens on the loopback of IPv6 as well', async () => {
    const six = await startLocalAws({ issuer: issuer.url, host: '::1' })
    try {
      expect((await fetch(six.url, { method: 'POST', body: 'Action=GetCallerIdentity' })).status).toBe(400)
    } finally {
      await six.close()
    }
  })

  test('has no calls before the first one, then each with what became of it', async () => {
    expect(aws.calls).toEqual([])
    await exchange()
    await refusal(exchange({ DurationSeconds: 899 }))
    await refusal(
      stsClient(aws.url, { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' }).send(
        new GetCallerIdentityCommand({}),
      ),
    )
    const ask = { action: 'AssumeRoleWithWebIdentity', roleArn: ROLE, roleSessionName: 'agentkeys-1' }
    expect(aws.calls).toEqual([
      { ...ask, outcome: 'ok' },
      { ...ask, outcome: 'ValidationError' },
      {
        action: 'GetCallerIdentity',
        roleArn: undefined,
        roleSessionName: undefined,
        accessKeyId: 'AKIANOBODY',
        outcome: 'InvalidClientTokenId',
      },
    ])
  })

  test('logs one line for a call, faults and line breaks in its parameters included', async () => {
    const lines: string[] = []
    const logging = await startLocalAws({ issuer: issuer.url, log: (line) => lines.push(line) })
    try {
      logging.failNext({ kind: 'error', code: 'Throttling' })
      for (const RoleSessionName of ['one', 'two\nAssumeRole -> ok']) {
        const body = new URLSearchParams({ Action: 'AssumeRole', RoleSessionName, Version: '2011-06-15' })
        await (await fetch(logging.url, { method: 'POST', body })).text()
      }
      expect(lines).toEqual([
        'AssumeRole  one -> Throttling',
        'AssumeRole  two?AssumeRole -> ok -> MissingAuthenticationToken',
      ])
    } finally {
      await logging.close()
    }
  })

  test('never writes a token or a key into its log', async () => {
    const lines: string[] = []
    const logging = await startLocalAws({ issuer: issuer.url, log: (line) => lines.push(line) })
    try {
      const token = await issuer.token()
      const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', WebIdentityToken: token }
      const keys = keysOf(await stsClient(logging.url).send(new AssumeRoleWithWebIdentityCommand(ask)))
      expect(lines).toEqual([`AssumeRoleWithWebIdentity ${ROLE} agentkeys-1 -> ok`])
      for (const secret of [token, keys.secretAccessKey, keys.sessionToken ?? ''])
        expect(lines.join()).not.toContain(secret)
    } finally {
      await logging.close()
    }
  })
})

function anyTags(url: string) {
  const Principal = { Federated: `arn:aws:iam::111122223333:oidc-provider/${url.replace('http://', '')}` }
  const Action = ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity']
  return { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal, Action }] }
}
