import { describe, expect, test } from '@jest/globals'

import { config, problems, warnings } from '../../test/support/config-reading.js'
import type { Variables } from './environment.js'

const ROLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'
const OTHER_ROLE = 'arn:aws:iam::111122223333:role/team/other@x'
const STS = { region: 'us-east-1', stsKind: 'aws', stsEndpoint: 'https://sts.us-east-1.amazonaws.com' }
const KEY_ID = 'AKIAIOSFODNN7EXAMPLE'
const KEY_SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const KEYS = { DAEMON_ACCESS_KEY_ID: KEY_ID, DAEMON_SECRET_ACCESS_KEY: KEY_SECRET }

describe('AWS', () => {
  const aws = (variables: Variables) => config({ BROKER_DATA_ROLE_ARN: ROLE, ...variables }).aws

  test('the data role: BROKER_DATA_ROLE_ARN, else BROKER_AGENT_ROLE_ARN, else made of ACCOUNT_ID', () => {
    const all = {
      BROKER_DATA_ROLE_ARN: OTHER_ROLE,
      BROKER_AGENT_ROLE_ARN: 'arn:aws:iam::444455556666:role/agent',
      ACCOUNT_ID: '111122223333',
    }
    const role = (unset: Variables) => config({ ...all, ...unset }).policy.dataRoleArn
    expect(role({})).toBe(OTHER_ROLE)
    expect(role({ BROKER_DATA_ROLE_ARN: undefined })).toBe('arn:aws:iam::444455556666:role/agent')
    expect(role({ BROKER_DATA_ROLE_ARN: undefined, BROKER_AGENT_ROLE_ARN: undefined })).toBe(ROLE)
  })

  test('the region: BROKER_AWS_REGION, else AWS_REGION, else REGION; empty is unset', () => {
    const all = { BROKER_AWS_REGION: 'eu-central-1', AWS_REGION: 'eu-west-1', REGION: 'us-west-2' }
    const region = (unset: Variables) => aws({ ...all, ...unset })
    expect(region({})).toMatchObject({ region: 'eu-central-1' })
    expect(region({ BROKER_AWS_REGION: '' })).toMatchObject({ region: 'eu-west-1' })
    expect(region({ BROKER_AWS_REGION: '', AWS_REGION: '' })).toMatchObject({ region: 'us-west-2' })
    expect(aws({ BROKER_AWS_REGION: '', REGION: '' })).toEqual({ kind: 'web-identity', ...STS })
  })

  test("a region outside the role's partition is a problem", () => {
    const GOV = 'arn:aws-us-gov:iam::111122223333:role/other'
    expect(problems({ BROKER_DATA_ROLE_ARN: ROLE, AWS_REGION: 'cn-north-1' })).toEqual([
      `${ROLE} is in partition aws, but region cn-north-1 is in aws-cn: set BROKER_AWS_REGION to a region of the role's partition`,
    ])
    expect(problems({ BROKER_DATA_ROLE_ARN: ROLE, BROKER_ALLOWED_ROLE_ARNS: GOV })).toHaveLength(1)
    expect(config({ BROKER_DATA_ROLE_ARN: GOV, REGION: 'us-gov-west-1' }).aws).toMatchObject({
      stsEndpoint: 'https://sts.us-gov-west-1.amazonaws.com',
    })
  })

  test('an allowed role alone switches AWS on, with no role for those who name none', () => {
    const made = config({ BROKER_ALLOWED_ROLE_ARNS: ` ${ROLE} , ${OTHER_ROLE},${ROLE}` })
    expect(made.aws.kind).toBe('web-identity')
    expect(made.policy).toMatchObject({ dataRoleArn: undefined, allowedRoleArns: [ROLE, OTHER_ROLE] })
  })

  test('a read-only role is one that may be asked for', () => {
    const roles = { BROKER_DATA_ROLE_ARN: ROLE, BROKER_READ_ONLY_ROLE_ARNS: OTHER_ROLE }
    expect(problems(roles)).toEqual([expect.stringContaining(OTHER_ROLE)])
    const { policy } = config({ ...roles, BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE })
    expect(policy.readOnlyRoleArns).toEqual([OTHER_ROLE])
  })

  test('empty lists are lists', () => {
    const { policy, aws } = config({ BROKER_ALLOWED_ROLE_ARNS: '', BROKER_ALLOWED_AUDIENCES: ' ' })
    expect([policy.allowedRoleArns, policy.allowedAudiences, aws]).toEqual([[], [], { kind: 'off' }])
  })

  test('assume-role takes static keys of either name, the short ones first, or the default chain', () => {
    const mode = { BROKER_STS_MODE: 'assume-role' }
    const long = { BROKER_DAEMON_ACCESS_KEY_ID: KEY_ID, BROKER_DAEMON_SECRET_ACCESS_KEY: KEY_SECRET }
    const credentials = { kind: 'static', accessKeyId: KEY_ID, secretAccessKey: KEY_SECRET }
    expect(aws({ ...mode, ...long })).toEqual({ kind: 'assume-role', ...STS, credentials })
    expect(
      aws({ ...mode, ...long, DAEMON_ACCESS_KEY_ID: 'AKIAFIRST00000000000', DAEMON_SECRET_ACCESS_KEY: '' }),
    ).toMatchObject({ credentials: { ...credentials, accessKeyId: 'AKIAFIRST00000000000' } })
    expect(aws({ ...mode, DAEMON_ACCESS_KEY_ID: '', DAEMON_SECRET_ACCESS_KEY: '' })).toMatchObject({
      credentials: { kind: 'default-chain' },
    })
  })

  test('half a key is a problem that names the missing half', () => {
    expect(problems({ DAEMON_ACCESS_KEY_ID: KEY_ID, DAEMON_SECRET_ACCESS_KEY: '' })).toEqual([
      'DAEMON_SECRET_ACCESS_KEY is not set while DAEMON_ACCESS_KEY_ID is: set both or neither',
    ])
    expect(problems({ BROKER_DAEMON_SECRET_ACCESS_KEY: KEY_SECRET })).toEqual([
      'DAEMON_ACCESS_KEY_ID is not set while BROKER_DAEMON_SECRET_ACCESS_KEY is: set both or neither',
    ])
  })

  test('malformed keys are named and not shown', () => {
    const keys = { DAEMON_ACCESS_KEY_ID: 'ASIAIOSFODNN7EXAMPLE', DAEMON_SECRET_ACCESS_KEY: `${KEY_SECRET}\n` }
    expect(problems(keys)).toEqual([
      'DAEMON_ACCESS_KEY_ID (value not shown): expected the key of an IAM user (AKIA…), not a temporary one (ASIA…); correct it, or unset it',
      'DAEMON_SECRET_ACCESS_KEY (value not shown): expected a secret access key: 16 to 128 characters without spaces; correct it, or unset it',
    ])
  })

  test('static keys that web-identity has no use for are a warning, and so is a mode without a role', () => {
    const keys = { ...KEYS, BROKER_OIDC_ISSUER: 'https://broker.example.com' }
    expect(warnings({ ...keys, BROKER_DATA_ROLE_ARN: ROLE })).toEqual([
      'DAEMON_ACCESS_KEY_ID and DAEMON_SECRET_ACCESS_KEY are set but not used: BROKER_STS_MODE is web-identity',
    ])
    expect(warnings(keys)).toEqual([expect.stringContaining('there is no role, so AWS credentials stay off')])
    expect(warnings({ BROKER_STS_MODE: 'assume-role' })).toHaveLength(1)
  })

  test.each([undefined, 'http://[::1]:9000', 'https://localhost'])(
    'static keys beside issuer %s, which no cloud can reach, mean assume-role, in one line',
    (issuer) => {
      const variables = { ...KEYS, BROKER_OIDC_ISSUER: issuer, BROKER_DATA_ROLE_ARN: ROLE }
      expect(config(variables).aws).toMatchObject({ kind: 'assume-role', credentials: { kind: 'static' } })
      const lines = warnings(variables).filter((line) => line.includes('AWS keys'))
      expect(lines).toEqual([expect.stringMatching(/^AWS keys are set and no cloud .* assume-role mode/)])
    },
  )

  test.each(['web-identity', 'assume-role'] as const)('BROKER_STS_MODE=%s decides, keys or not', (mode) => {
    expect(aws({ ...KEYS, BROKER_STS_MODE: mode }).kind).toBe(mode)
    expect(aws({ ...KEYS, BROKER_STS_MODE: mode, BROKER_OIDC_ISSUER: undefined }).kind).toBe(mode)
  })

  test('static keys beside a public issuer leave the mode at web-identity', () => {
    expect(aws({ ...KEYS, BROKER_OIDC_ISSUER: 'https://broker.example.com' }).kind).toBe('web-identity')
  })

  test('more than an hour is a warning where roles are chained', () => {
    const long = {
      BROKER_STS_MODE: 'assume-role',
      BROKER_DATA_ROLE_ARN: ROLE,
      BROKER_SESSION_DURATION_SECONDS: '3601',
    }
    const keys = { DAEMON_ACCESS_KEY_ID: KEY_ID, DAEMON_SECRET_ACCESS_KEY: KEY_SECRET }
    expect(warnings(long)).toEqual([
      'BROKER_SESSION_DURATION_SECONDS=3601: AWS refuses more than 3600 when a role (an instance profile, say) assumes the data role',
    ])
    expect(warnings({ ...long, BROKER_SESSION_DURATION_SECONDS: '3600' })).toEqual([])
    expect(warnings({ ...long, ...keys })).toEqual([])
    expect(warnings({ ...long, BROKER_STS_MODE: 'web-identity' })).toEqual([])
  })

  test('another STS endpoint is honoured; in clear over the network it is a warning', () => {
    expect(aws({ AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:8093/' })).toMatchObject({
      stsEndpoint: 'http://127.0.0.1:8093',
    })
    expect(aws({ AWS_ENDPOINT_URL_STS: '' })).toEqual({ kind: 'web-identity', ...STS })
    expect(warnings({ AWS_ENDPOINT_URL_STS: 'http://sts.internal' })).toHaveLength(1)
  })

  test('AWS_ENDPOINT_URL is honoured after AWS_ENDPOINT_URL_STS, and warned of', () => {
    const url = 'https://all.example.com'
    expect(aws({ AWS_ENDPOINT_URL: url })).toMatchObject({ stsEndpoint: url })
    expect(warnings({ AWS_ENDPOINT_URL: url, BROKER_DATA_ROLE_ARN: ROLE })).toEqual([
      `AWS_ENDPOINT_URL=${url}: tokens go there instead of to the region's STS; set AWS_ENDPOINT_URL_STS if that is meant, or unset it`,
    ])
    const both = { AWS_ENDPOINT_URL: url, AWS_ENDPOINT_URL_STS: 'https://sts.example.com' }
    expect(aws(both)).toMatchObject({ stsEndpoint: 'https://sts.example.com' })
  })

  describe('an S3-compatible STS', () => {
    const KIND = { BROKER_STS_KIND: 's3-compatible', AWS_ENDPOINT_URL_STS: 'https://s3.example.com' }
    const kept = ['arn:aws:iam:::role/reader', 'arn:aws:iam::role/reader', 'arn:minio:iam:::role/idmp-x']

    test.each([...kept, ROLE])('may have the role %s', (arn) => {
      const read = { ...KIND, BROKER_DATA_ROLE_ARN: arn }
      expect(config(read).policy.dataRoleArn).toBe(arn)
      expect(config(read).aws).toMatchObject({
        stsKind: 's3-compatible',
        stsEndpoint: 'https://s3.example.com',
      })
      expect(config({ ...KIND, BROKER_ALLOWED_ROLE_ARNS: arn }).policy.allowedRoleArns).toEqual([arn])
    })

    test.each(kept)('of AWS, no role is %s', (arn) => {
      expect(problems({ ...KIND, BROKER_STS_KIND: 'aws', BROKER_DATA_ROLE_ARN: arn })).toHaveLength(1)
    })

    test.each([undefined, 'https://sts.eu-central-1.amazonaws.com', 'https://sts.us-east-1.api.aws'])(
      'is not at %s',
      (endpoint) => {
        const read = { ...KIND, AWS_ENDPOINT_URL_STS: endpoint, BROKER_DATA_ROLE_ARN: ROLE }
        expect(problems(read)).toEqual([
          expect.stringContaining('BROKER_STS_KIND=s3-compatible: the STS endpoint '),
        ])
      },
    )

    test('no other kind is known', () => {
      expect(problems({ ...KIND, BROKER_STS_KIND: 'ceph' })).toEqual([
        'BROKER_STS_KIND="ceph": expected aws or s3-compatible; correct it, or unset it for aws',
      ])
    })
  })

  test('source identity can be switched off', () => {
    expect(config({ BROKER_STS_SOURCE_IDENTITY: 'off' }).policy.sourceIdentity).toBe(false)
  })
})
