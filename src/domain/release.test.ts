import { expect, test } from '@jest/globals'

import { releaseLevel, type ReleasePolicy } from './release.js'

const ROLE = 'arn:aws:iam::111122223333:role/data'
const OTHER = 'arn:aws:iam::111122223333:role/database'
const STS = 'sts.amazonaws.com'
const policy = (change: Partial<ReleasePolicy> = {}): ReleasePolicy => ({
  requires: 'durable',
  witnessedRoles: [],
  witnessedAudiences: [],
  ...change,
})

test('what is durable may be released when nothing needs witnesses', () => {
  expect(releaseLevel({ audience: STS, roleArn: ROLE }, policy())).toBe('durable')
  expect(releaseLevel({ audience: STS, roleArn: undefined }, policy())).toBe('durable')
})

test('everything needs witnesses when the policy requires them', () => {
  const all = policy({ requires: 'witnessed' })
  expect(releaseLevel({ audience: STS, roleArn: ROLE }, all)).toBe('witnessed')
  expect(releaseLevel({ audience: 'vault', roleArn: undefined }, all)).toBe('witnessed')
})

test('a listed role needs witnesses whatever the audience, and one that only begins like it does not', () => {
  const listed = policy({ witnessedRoles: [ROLE] })
  expect(releaseLevel({ audience: STS, roleArn: ROLE }, listed)).toBe('witnessed')
  expect(releaseLevel({ audience: 'vault', roleArn: ROLE }, listed)).toBe('witnessed')
  expect(releaseLevel({ audience: STS, roleArn: OTHER }, listed)).toBe('durable')
})

test('a JWT bound to no role needs witnesses as soon as one role does: it could be used for that one', () => {
  expect(releaseLevel({ audience: STS, roleArn: undefined }, policy({ witnessedRoles: [ROLE] }))).toBe(
    'witnessed',
  )
})

test('a listed audience needs witnesses whatever the role', () => {
  const listed = policy({ witnessedAudiences: ['vault'] })
  expect(releaseLevel({ audience: 'vault', roleArn: OTHER }, listed)).toBe('witnessed')
  expect(releaseLevel({ audience: 'vault-2', roleArn: OTHER }, listed)).toBe('durable')
})
