// Given a policy, when this is asked for, then it is granted or refused, and why.

import { describe, expect, test } from '@jest/globals'

import type { Scope } from './ledger/child-session.js'
import type { RefusalReason } from './ledger/events.js'
import { type CredsAsk, decideCreds, decideJwt, type JwtAsk, type MintPolicy } from './mint.js'

const ROLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'
const OTHER = 'arn:aws:iam::111122223333:role/agents/reports'
const STS = 'sts.amazonaws.com'

const POLICY: MintPolicy = {
  issuer: 'https://broker.example.com',
  dataRoleArn: ROLE,
  allowedRoleArns: [OTHER],
  readOnlyRoleArns: [OTHER],
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

describe('a child session', () => {
  const child = (services: string[], readOnly = false) => ({ services, readOnly })

  test.each<[Scope, JwtAsk, RefusalReason | undefined]>([
    [child(['aws']), {}, undefined],
    [child(['aws', 's3']), { role: ROLE }, undefined],
    [child([]), {}, 'service-not-in-scope'],
    [child(['s3', 'AWS', 'aws.', STS]), {}, 'service-not-in-scope'],
    [child(['api.example.com']), { audience: 'api.example.com' }, undefined],
    [child(['aws']), { audience: 'api.example.com' }, 'service-not-in-scope'],
    [child(['aws']), { audience: 'aws' }, 'service-not-in-scope'],
    [child(['aws'], true), { role: OTHER }, undefined],
    [child(['aws'], true), { role: ROLE }, 'read-only-session'],
    [child(['aws'], true), {}, 'read-only-session'],
    [child(['api.example.com'], true), { audience: 'api.example.com', role: OTHER }, 'read-only-session'],
    // A role that no session may have is refused before the scope is looked at.
    [child([]), { audience: 'other.example.com' }, 'audience-not-allowed'],
  ])('of scope %j that asks for the JWT %j is refused for %s', (scope, ask, reason) => {
    const policy = { ...POLICY, allowedAudiences: [...POLICY.allowedAudiences, 'aws'] }
    const decision = decideJwt(ask, policy, scope)
    expect('refused' in decision ? decision.refused.reason : undefined).toBe(reason)
  })

  test.each<[Scope, CredsAsk, MintPolicy, RefusalReason | undefined]>([
    [child(['aws']), {}, POLICY, undefined],
    [child(['s3']), {}, POLICY, 'service-not-in-scope'],
    [child(['aws'], true), { role: OTHER }, POLICY, undefined],
    [child(['aws'], true), { role: `${OTHER}/` }, POLICY, 'role-not-allowed'],
    [child(['aws'], true), {}, POLICY, 'read-only-session'],
    [child(['aws'], true), {}, NO_AWS, 'aws-not-configured'],
  ])('of scope %j that asks for credentials %j is decided', (scope, ask, policy, reason) => {
    const decision = decideCreds(ask, policy, scope)
    expect('refused' in decision ? decision.refused.reason : undefined).toBe(reason)
  })

  test('that is read-only gets no token without a role', () => {
    expect(decideJwt({}, NO_AWS, child(['aws'], true))).toMatchObject({
      refused: { reason: 'read-only-session' },
    })
  })
})
