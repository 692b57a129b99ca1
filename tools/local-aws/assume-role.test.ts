import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  type AssumeRoleCommandInput,
} from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { ROLE, WALLET, startIssuer, type TestIssuer } from '../../test/support/oidc-issuer.js'
import { keysOf, refusal, stsClient, type Keys } from '../../test/support/sts-client.js'
import type { AccountConfig } from './account.js'
import { USER_ARN, USER_KEY, defaultAccount } from './default-account.js'
import { startLocalAws, type LocalAws } from './server.js'

const NEXT = 'arn:aws:iam::111122223333:role/path/next'
const PLAIN = 'arn:aws:iam::111122223333:role/plain'
const TAG = { Key: 'agentkeys_user_wallet', Value: WALLET }

let issuer: TestIssuer
let aws: LocalAws

beforeEach(async () => {
  issuer = await startIssuer()
  aws = await startLocalAws({ account: account(issuer.url) })
})

afterEach(async () => {
  await aws.close()
  await issuer.close()
})

/** The default account, a role that the data role may chain to, and one that allows no tags and no source identity. */
function account(url: string): AccountConfig {
  const base = defaultAccount(url)
  const trust = (AWS: string, Action: string[], Condition = {}) => ({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS }, Action, Condition }],
  })
  const all = ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity']
  const external = { StringEquals: { 'sts:ExternalId': 'shared' } }
  const roles = [
    { arn: NEXT, maxSessionDuration: 43_200, tags: { team: 'red' }, trustPolicy: trust(ROLE, all) },
    { arn: PLAIN, trustPolicy: trust(USER_ARN, ['sts:AssumeRole'], external) },
  ]
  return { ...base, roles: [...base.roles, ...roles] }
}

function assume(keys: Keys, input: Partial<AssumeRoleCommandInput> = {}) {
  const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', ...input }
  return stsClient(aws.url, keys).send(new AssumeRoleCommand(ask))
}

const assumeTagged = (input: Partial<AssumeRoleCommandInput> = {}) =>
  assume(USER_KEY, { Tags: [TAG], TransitiveTagKeys: [TAG.Key], SourceIdentity: WALLET, ...input })

const denied = { name: 'AccessDenied', status: 403 }

describe('a user with a static key', () => {
  test('is known to GetCallerIdentity', async () => {
    const identity = await stsClient(aws.url, USER_KEY).send(new GetCallerIdentityCommand({}))
    expect(identity).toMatchObject({
      Arn: USER_ARN,
      Account: '111122223333',
      UserId: expect.stringMatching(/^AIDA/),
    })
  })

  test('assumes the role with tags and a source identity', async () => {
    const answer = await assumeTagged({ DurationSeconds: 900 })
    expect(answer.SourceIdentity).toBe(WALLET)
    expect(aws.session(keysOf(answer).accessKeyId)).toMatchObject({
      arn: 'arn:aws:sts::111122223333:assumed-role/agentkeys-data-role/agentkeys-1',
      sourceIdentity: WALLET,
      tags: { tags: new Map([[TAG.Key, WALLET]]), transitiveKeys: [TAG.Key] },
    })
  })

  test('is refused without the tag that the trust policy asks for', async () => {
    expect(await refusal(assume(USER_KEY))).toEqual({
      ...denied,
      message: `User: ${USER_ARN} is not authorized to perform: sts:AssumeRole on resource: ${ROLE}`,
    })
  })

  test('is refused tags where the role does not allow sts:TagSession', async () => {
    const refused = await refusal(assume(USER_KEY, { RoleArn: PLAIN, ExternalId: 'shared', Tags: [TAG] }))
    expect(refused).toMatchObject({ ...denied, message: expect.stringContaining('sts:TagSession') })
  })

  test('is refused a source identity where the role does not allow sts:SetSourceIdentity', async () => {
    const refused = await refusal(
      assume(USER_KEY, { RoleArn: PLAIN, ExternalId: 'shared', SourceIdentity: WALLET }),
    )
    expect(refused).toMatchObject({
      ...denied,
      message: expect.stringContaining('sts:SetSourceIdentity'),
    })
  })

  test('needs the external id where the role asks for one', async () => {
    expect((await assume(USER_KEY, { RoleArn: PLAIN, ExternalId: 'shared' })).AssumedRoleUser?.Arn).toContain(
      'plain/agentkeys-1',
    )
    expect(await refusal(assume(USER_KEY, { RoleArn: PLAIN, ExternalId: 'other' }))).toMatchObject(denied)
    expect(await refusal(assume(USER_KEY, { RoleArn: PLAIN }))).toMatchObject(denied)
  })

  test('is refused a role that does not trust it, or is not there, in the same words', async () => {
    const words = async (RoleArn: string) =>
      (await refusal(assumeTagged({ RoleArn }))).message.replace(RoleArn, '')
    expect(await words(NEXT)).toBe(await words('arn:aws:iam::111122223333:role/nowhere'))
  })

  test.each<[string, Partial<AssumeRoleCommandInput>, string]>([
    ['a source identity of one character', { SourceIdentity: 'a' }, 'ValidationError'],
    ['a source identity that starts with aws:', { SourceIdentity: 'aws:me' }, 'ValidationError'],
    ['more seconds than the role allows', { DurationSeconds: 7200 }, 'ValidationError'],
    ['a transitive key that is no tag', { TransitiveTagKeys: ['other'] }, 'InvalidParameterValue'],
    ['a tag value with a star', { Tags: [{ ...TAG, Value: '*' }] }, 'ValidationError'],
    [
      'an MFA code, which is not implemented',
      { SerialNumber: 'arn:aws:iam::1:mfa/me', TokenCode: '123456' },
      'ValidationError',
    ],
  ])('is refused %s', async (_, input, name) => {
    expect(await refusal(assumeTagged(input))).toMatchObject({ name, status: 400 })
  })

  test('may not assume the role without signing', async () => {
    const body = `Action=AssumeRole&Version=2011-06-15&RoleArn=${ROLE}&RoleSessionName=agentkeys-1`
    const response = await fetch(aws.url, { method: 'POST', body })
    expect([response.status, await response.text()]).toEqual([
      403,
      expect.stringContaining('MissingAuthenticationToken'),
    ])
  })
})

describe('a chained role', () => {
  const chain = (keys: Keys, input: Partial<AssumeRoleCommandInput> = {}) =>
    assume(keys, { RoleArn: NEXT, ...input })

  test('keeps transitive tags and source identity, under its own role’s tags', async () => {
    const answer = await chain(keysOf(await assumeTagged()))
    const session = aws.session(keysOf(answer).accessKeyId)
    expect(answer).toMatchObject({ SourceIdentity: WALLET })
    expect(session?.arn).toBe('arn:aws:sts::111122223333:assumed-role/next/agentkeys-1')
    expect(Object.fromEntries(session?.principalTags ?? [])).toEqual({ [TAG.Key]: WALLET, team: 'red' })
  })

  test('can start from a web identity', async () => {
    const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', WebIdentityToken: await issuer.token() }
    const first = keysOf(await stsClient(aws.url).send(new AssumeRoleWithWebIdentityCommand(ask)))
    const session = aws.session(keysOf(await chain(first)).accessKeyId)
    expect(session).toMatchObject({
      roleArn: NEXT,
      sourceIdentity: WALLET,
      tags: { tags: new Map([[TAG.Key, WALLET]]) },
    })
  })

  test('lasts an hour at most, whatever its role allows', async () => {
    const first = keysOf(await assumeTagged())
    expect((await chain(first, { DurationSeconds: 3600 })).Credentials?.AccessKeyId).toMatch(
      /^ASIA[A-Z2-7]{16}$/,
    )
    expect(await refusal(chain(first, { DurationSeconds: 3601 }))).toEqual({
      name: 'ValidationError',
      status: 400,
      message:
        'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.',
    })
  })

  test('may overrule a tag of the role, but no transitive one', async () => {
    const first = keysOf(await assumeTagged())
    const session = aws.session(
      keysOf(await chain(first, { Tags: [{ Key: 'Team', Value: 'blue' }] })).accessKeyId,
    )
    expect(Object.fromEntries(session?.principalTags ?? [])).toEqual({ Team: 'blue', [TAG.Key]: WALLET })
    expect(await refusal(chain(first, { Tags: [TAG] }))).toMatchObject({
      name: 'InvalidParameterValue',
      status: 400,
    })
  })

  test('may name the same source identity again, and no other', async () => {
    const first = keysOf(await assumeTagged())
    expect((await chain(first, { SourceIdentity: WALLET })).SourceIdentity).toBe(WALLET)
    expect(await refusal(chain(first, { SourceIdentity: 'other' }))).toMatchObject(denied)
  })

  test('is refused to a session of a role it does not trust', async () => {
    const second = keysOf(await chain(keysOf(await assumeTagged())))
    expect(await refusal(chain(second))).toMatchObject(denied)
  })
})
