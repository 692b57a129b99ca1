import { AssumeRoleWithWebIdentityCommand } from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { CompactSign, generateKeyPair } from 'jose'

import { ROLE, startIssuer, type TestIssuer } from '../../test/support/oidc-issuer.js'
import { refusal, stsClient } from '../../test/support/sts-client.js'
import { defaultAccount, federatedTrustPolicy } from './default-account.js'
import { startLocalAws, type LocalAws } from './server.js'

let issuer: TestIssuer
let aws: LocalAws
/** The server's clock, which stands still during a test. */
let seconds: () => number

beforeEach(async () => {
  issuer = await startIssuer()
  const account = defaultAccount(issuer.url)
  const provider = account.providers[0]
  provider?.clientIds.push('second-client')
  const now = new Date()
  aws = await startLocalAws({ account, now: () => now })
  seconds = () => Math.floor(now.getTime() / 1000)
})

afterEach(async () => {
  await aws.close()
  await issuer.close()
})

function exchange(token: string, RoleArn = ROLE) {
  const ask = { RoleArn, RoleSessionName: 'agentkeys-1', WebIdentityToken: token }
  return stsClient(aws.url).send(new AssumeRoleWithWebIdentityCommand(ask))
}

const invalid = { name: 'InvalidIdentityTokenException', status: 400 }
const wrongAlgorithm = {
  ...invalid,
  message: 'The token must be signed with one of RS256, RS384, RS512, ES256, ES384, ES512',
}
const TAGS = 'https://aws.amazon.com/tags'
const ROLES = 'https://aws.amazon.com/roles'
const SOURCE = 'https://aws.amazon.com/source_identity'

describe('the claims that are taken', () => {
  test.each<[string, () => Record<string, unknown>]>([
    ['times as integer strings', () => ({ iat: String(seconds()), exp: String(seconds() + 60) })],
    ['an exp that passed less than five minutes ago', () => ({ iat: seconds() - 400, exp: seconds() - 240 })],
    ['an iat less than five minutes ahead', () => ({ iat: seconds() + 240 })],
    ['an nbf less than five minutes ahead', () => ({ nbf: seconds() + 240 })],
    ['an audience list of one', () => ({ aud: ['sts.amazonaws.com'] })],
    [
      'another client id of the provider as azp of several audiences',
      () => ({ aud: ['a', 'b'], azp: 'sts.amazonaws.com' }),
    ],
    ['one role as a string', () => ({ [ROLES]: ROLE })],
    [
      'a role among entries that are none',
      () => ({ [ROLES]: [7, 'arn:aws:iam::111122223333:role/*', ROLE] }),
    ],
  ])('%s', async (_, claims) => {
    expect((await exchange(await issuer.token(claims()))).SubjectFromWebIdentityToken).toMatch(
      /^agentkeys:agent:0x/,
    )
  })

  test('a second client id of the provider, which the trust policy then refuses', async () => {
    expect(await refusal(exchange(await issuer.token({ aud: 'second-client' })))).toMatchObject({
      name: 'AccessDenied',
      status: 403,
    })
  })

  test('with several audiences azp is the one that is matched and reported', async () => {
    const { Audience } = await exchange(await issuer.token({ aud: ['x', 'y'], azp: 'sts.amazonaws.com' }))
    expect(Audience).toBe('sts.amazonaws.com')
  })

  test('a number as subject becomes text, and the trust policy then refuses it', async () => {
    expect(await refusal(exchange(await issuer.token({ sub: 42 })))).toMatchObject({
      name: 'AccessDenied',
      status: 403,
    })
  })
})

describe('InvalidIdentityToken', () => {
  test.each<[string, () => Record<string, unknown>]>([
    ['no exp', () => ({ exp: undefined })],
    ['no iat', () => ({ iat: undefined })],
    ['a fraction in exp', () => ({ exp: seconds() + 60.5 })],
    ['a fraction in iat', () => ({ iat: seconds() - 0.5 })],
    ['a fraction in nbf', () => ({ nbf: seconds() - 0.5 })],
    ['a fraction in a string', () => ({ exp: `${seconds() + 60}.5` })],
    ['an exp of null', () => ({ exp: null })],
    ['an iat more than five minutes ahead', () => ({ iat: seconds() + 330 })],
    ['an nbf more than five minutes ahead', () => ({ nbf: seconds() + 330 })],
    ['no aud', () => ({ aud: undefined })],
    ['an audience that is no client id', () => ({ aud: 'sts.amazon.com' })],
    ['an audience in another case', () => ({ aud: 'STS.amazonaws.com' })],
    ['an empty audience list', () => ({ aud: [] })],
    ['an audience list with a number', () => ({ aud: [7] })],
    ['two audiences without azp', () => ({ aud: ['sts.amazonaws.com', 'second-client'] })],
    ['two audiences and an azp that is no client id', () => ({ aud: ['sts.amazonaws.com', 'b'], azp: 'c' })],
    ['no sub', () => ({ sub: undefined })],
    ['an empty sub', () => ({ sub: '' })],
    ['a sub of 256 characters', () => ({ sub: 'a'.repeat(256) })],
    ['no iss', () => ({ iss: undefined })],
    ['an iss with a slash more', () => ({ iss: `${issuer.url}/` })],
    ['an iss in another case', () => ({ iss: issuer.url.replace('http', 'HTTP') })],
    ['a role list without the role', () => ({ [ROLES]: ['arn:aws:iam::111122223333:role/other'] })],
    ['a role list with a wildcard for the role', () => ({ [ROLES]: ['arn:aws:iam::111122223333:role/*'] })],
    ['an empty role list', () => ({ [ROLES]: [] })],
    ['a role list with nothing valid in it', () => ({ [ROLES]: [1, null] })],
    ['a source identity of one character', () => ({ [SOURCE]: 'a' })],
    ['a source identity of 65 characters', () => ({ [SOURCE]: 'a'.repeat(65) })],
    ['a source identity with a space', () => ({ [SOURCE]: 'a b' })],
    ['a source identity that starts with aws:', () => ({ [SOURCE]: 'aws:root' })],
    ['a source identity of null', () => ({ [SOURCE]: null })],
    ['tags that are a list', () => ({ [TAGS]: [] })],
  ])('for %s', async (_, claims) => {
    expect(await refusal(exchange(await issuer.token(claims())))).toMatchObject(invalid)
  })

  test.each([['PS256'], ['EdDSA']])('for a token signed with %s', async (alg) => {
    const { privateKey } = await generateKeyPair(alg)
    expect(await refusal(exchange(await issuer.token({}, { alg }, privateKey)))).toEqual(wrongAlgorithm)
  })

  test('for a token with alg none', async () => {
    const [, payload] = (await issuer.token()).split('.')
    const header = Buffer.from('{"alg":"none","kid":"v1-1"}').toString('base64url')
    expect(await refusal(exchange(`${header}.${payload}.`))).toEqual(wrongAlgorithm)
  })

  test('for a token signed with the public key as an HMAC secret', async () => {
    const secret = Buffer.from(JSON.stringify(issuer.keys[0]))
    const [, payload = ''] = (await issuer.token()).split('.')
    const forged = await new CompactSign(Buffer.from(payload, 'base64url'))
      .setProtectedHeader({ alg: 'HS256', kid: 'v1-1' })
      .sign(secret)
    expect(await refusal(exchange(forged))).toEqual(wrongAlgorithm)
  })

  test('for a token with a critical header extension', async () => {
    const claims = Buffer.from((await issuer.token()).split('.')[1] ?? '', 'base64url')
    const token = await new CompactSign(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'v1-1', crit: ['x'], x: 1 })
      .sign(issuer.signingKey, { crit: { x: true } })
    expect(await refusal(exchange(token))).toMatchObject(invalid)
  })

  test('for a token whose payload was changed', async () => {
    const [header, payload = '', signature] = (await issuer.token()).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'agentkeys:agent:0xmine' })).toString(
      'base64url',
    )
    expect(await refusal(exchange(`${header}.${changed}.${signature}`))).toMatchObject(invalid)
  })

  test('for a key the issuer does not publish', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    expect(await refusal(exchange(await issuer.token({}, {}, privateKey)))).toMatchObject(invalid)
  })

  test.each(['', 'not a token', 'a.b.c', 'e30.e30.e30'])('for %j, which is no JWT', async (text) => {
    const name = text.length < 4 ? 'ValidationError' : invalid.name
    expect(await refusal(exchange(text))).toMatchObject({ name, status: 400 })
  })

  test('names the issuer that has no provider, and never the token', async () => {
    const token = await issuer.token({ iss: 'https://elsewhere.example' })
    const { message } = await refusal(exchange(token))
    expect(message).toBe('No OpenIDConnect provider found in your account for https://elsewhere.example')
  })

  test('for a role in an account that does not have the provider', async () => {
    const role = 'arn:aws:iam::999999999999:role/agentkeys-data-role'
    expect(await refusal(exchange(await issuer.token({ [ROLES]: [role] }), role))).toMatchObject(invalid)
  })
})

describe('other refusals', () => {
  test('a token more than five minutes past its exp is ExpiredTokenException', async () => {
    const token = await issuer.token({ iat: seconds() - 700, exp: seconds() - 301 })
    expect(await refusal(exchange(token))).toMatchObject({ name: 'ExpiredTokenException', status: 400 })
  })

  test('a subject of null is the service failing', async () => {
    expect(await refusal(exchange(await issuer.token({ sub: null })))).toMatchObject({
      name: 'InternalFailure',
      status: 500,
    })
  })

  test('a role list of null is as good as none, and the default trust policy then refuses', async () => {
    expect(await refusal(exchange(await issuer.token({ [ROLES]: null })))).toMatchObject({
      name: 'AccessDenied',
      status: 403,
    })
  })

  test('an unlisted role is refused before its trust policy is looked at', async () => {
    const nobody = 'arn:aws:iam::111122223333:role/not-even-there'
    expect(await refusal(exchange(await issuer.token(), nobody))).toMatchObject(invalid)
    const listed = await issuer.token({ [ROLES]: [nobody] })
    expect(await refusal(exchange(listed, nobody))).toMatchObject({ name: 'AccessDenied', status: 403 })
  })
})

describe('the default trust policy refuses', () => {
  const other = (tags: object) => ({ [TAGS]: { principal_tags: tags } })
  test.each<[string, Record<string, unknown>]>([
    ['a subject that is no agent', { sub: 'agentkeys:operator' }],
    ['a token without tags', { [TAGS]: undefined }],
    ['a token without the wallet tag', other({ team: ['red'] })],
    ['a tag beside the wallet', other({ agentkeys_user_wallet: ['0x1'], team: ['red'] })],
    ['a token without a role list', { [ROLES]: undefined }],
  ])('%s', async (_, claims) => {
    expect(await refusal(exchange(await issuer.token(claims)))).toMatchObject({
      name: 'AccessDenied',
      status: 403,
    })
  })

  test.each([
    ['sts:TagSession', 'sts:SetSourceIdentity'],
    ['sts:SetSourceIdentity', 'sts:TagSession'],
  ])('the token where it does not allow %s', async (missing, left) => {
    const policy = federatedTrustPolicy(issuer.url)
    const [assume, tagged] = policy.Statement
    const narrower = { ...policy, Statement: [assume, { ...tagged, Action: left }] }
    const account = defaultAccount(issuer.url)
    const strict = await startLocalAws({
      account: { ...account, roles: [{ arn: ROLE, trustPolicy: narrower }] },
    })
    try {
      const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', WebIdentityToken: await issuer.token() }
      const refused = await refusal(stsClient(strict.url).send(new AssumeRoleWithWebIdentityCommand(ask)))
      expect(refused).toEqual({
        name: 'AccessDenied',
        status: 403,
        message: `Not authorized to perform ${missing}`,
      })
    } finally {
      await strict.close()
    }
  })
})
