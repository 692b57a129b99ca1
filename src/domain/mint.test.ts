// Given a policy, when this is asked for, then it is granted or refused, and why.

import { describe, expect, test } from '@jest/globals'

import type { RefusalReason } from './ledger/events.js'
import { type CredsAsk, decideCreds, decideJwt, type JwtAsk, type MintPolicy } from './mint.js'

const ROLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'
const OTHER = 'arn:aws:iam::111122223333:role/agents/reports'
const STS = 'sts.amazonaws.com'

const POLICY: MintPolicy = {
  issuer: 'https://broker.example.com',
  dataRoleArn: ROLE,
  allowedRoleArns: [OTHER],
  allowedAudiences: ['api.example.com'],
  jwtTtlSeconds: 300,
  sessionDurationSeconds: 3600,
  sourceIdentity: true,
}
const NO_AWS: MintPolicy = { ...POLICY, dataRoleArn: undefined, allowedRoleArns: [] }
const ONLY_LISTED: MintPolicy = { ...POLICY, dataRoleArn: undefined }

const granted = { audience: STS, ttlSeconds: 300, roleArn: ROLE }

describe('a JWT', () => {
  test.each<[JwtAsk, MintPolicy, object]>([
    [{}, POLICY, granted],
    [{}, NO_AWS, { ...granted, roleArn: undefined }],
    [{ audience: STS }, { ...POLICY, allowedAudiences: [] }, granted],
    [{ audience: 'api.example.com' }, POLICY, { ...granted, audience: 'api.example.com' }],
    [{ ttlSeconds: 60 }, POLICY, { ...granted, ttlSeconds: 60 }],
    [{ ttlSeconds: 300 }, POLICY, granted],
    [{ ttlSeconds: 3600 }, { ...POLICY, jwtTtlSeconds: 3600 }, { ...granted, ttlSeconds: 3600 }],
    [{ role: ROLE }, POLICY, granted],
    [{ role: OTHER }, POLICY, { ...granted, roleArn: OTHER }],
  ])('asked for %j is granted', (ask, policy, grant) => {
    expect(decideJwt(ask, policy)).toEqual({ granted: grant })
  })

  test.each<[JwtAsk, MintPolicy, RefusalReason]>([
    [{ ttlSeconds: 59 }, POLICY, 'ttl-out-of-bounds'],
    [{ ttlSeconds: 301 }, POLICY, 'ttl-out-of-bounds'],
    [{ ttlSeconds: 61 }, { ...POLICY, jwtTtlSeconds: 60 }, 'ttl-out-of-bounds'],
    [{ audience: 'other.example.com' }, POLICY, 'audience-not-allowed'],
    [{ audience: 'API.example.com' }, POLICY, 'audience-not-allowed'],
    [{ audience: 'api.example.com.evil' }, POLICY, 'audience-not-allowed'],
    [{ audience: `${STS} ` }, POLICY, 'audience-not-allowed'],
    [{ audience: '' }, POLICY, 'audience-not-allowed'],
    [{ role: `${ROLE}-admin` }, POLICY, 'role-not-allowed'],
    [{ role: ROLE.toUpperCase() }, POLICY, 'role-not-allowed'],
    [{ role: ROLE }, NO_AWS, 'role-not-allowed'],
    [{ role: '' }, POLICY, 'role-not-allowed'],
  ])('asked for %j is refused', (ask, policy, reason) => {
    expect(decideJwt(ask, policy)).toMatchObject({ refused: { reason } })
  })
})

describe('AWS credentials', () => {
  const asked = { roleArn: ROLE, durationSeconds: 3600 }
  test.each<[CredsAsk, MintPolicy, object]>([
    [{}, POLICY, asked],
    [{ role: OTHER }, POLICY, { ...asked, roleArn: OTHER }],
    [{ role: OTHER }, ONLY_LISTED, { ...asked, roleArn: OTHER }],
    [{ durationSeconds: 900 }, POLICY, { ...asked, durationSeconds: 900 }],
    [{ durationSeconds: 3600 }, POLICY, asked],
  ])('asked for %j are granted', (ask, policy, grant) => {
    expect(decideCreds(ask, policy)).toEqual({ granted: grant })
  })

  test.each<[CredsAsk, MintPolicy, RefusalReason]>([
    [{ durationSeconds: 899 }, POLICY, 'duration-out-of-bounds'],
    [{ durationSeconds: 3601 }, POLICY, 'duration-out-of-bounds'],
    [{ role: 'arn:aws:iam::999999999999:role/agentkeys-data-role' }, POLICY, 'role-not-allowed'],
    [{ role: ROLE }, ONLY_LISTED, 'role-not-allowed'],
    [{}, NO_AWS, 'aws-not-configured'],
    [{}, ONLY_LISTED, 'aws-not-configured'],
  ])('asked for %j are refused', (ask, policy, reason) => {
    expect(decideCreds(ask, policy)).toMatchObject({ refused: { reason } })
  })
})

test('a refusal repeats a well-formed role ARN, and nothing else of what was asked for', () => {
  const detail = (role: string) => JSON.stringify(decideCreds({ role }, POLICY))
  expect(detail(`${ROLE}-admin`)).toContain(`${ROLE}-admin`)
  expect(detail('a-pasted-secret')).not.toContain('a-pasted-secret')
})
