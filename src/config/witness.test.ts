import { describe, expect, test } from '@jest/globals'

import * as reading from '../../test/support/config-reading.js'
import type { Variables } from './environment.js'
import { isGated } from './witness.js'

const ROLE = 'arn:aws:iam::111122223333:role/data'
const OTHER_ROLE = 'arn:aws:iam::111122223333:role/other'
const ROLES = {
  BROKER_DATA_ROLE_ARN: ROLE,
  BROKER_ALLOWED_ROLE_ARNS: OTHER_ROLE,
  BROKER_ALLOWED_AUDIENCES: 'vault',
}
const WITNESSED = { BROKER_WITNESS_POLICY: '/etc/agentkeys/witnesses' }

const config = (variables: Variables) => reading.config({ ...ROLES, ...variables })
const problems = (variables: Variables) => reading.problems({ ...ROLES, ...variables })
const warnings = (variables: Variables) => reading.warnings({ ...ROLES, ...variables })

test('without a policy no one is asked, and what is durable may be released', () => {
  const { witness, release } = config({})
  expect(witness).toEqual({ kind: 'none' })
  expect(release).toEqual({ requires: 'durable', witnessedRoles: [], witnessedAudiences: [] })
  expect(isGated(release)).toBe(false)
})

test('a policy is a path, with times of its own', () => {
  expect(config(WITNESSED).witness).toEqual({
    kind: 'policy',
    policyPath: '/etc/agentkeys/witnesses',
    refreshSeconds: 3600,
    timeoutSeconds: 10,
    gapMs: 100,
  })
  const times = {
    BROKER_WITNESS_REFRESH_SECONDS: '60',
    BROKER_WITNESS_TIMEOUT_SECONDS: '120',
    BROKER_WITNESS_GAP_MS: '1000',
  }
  expect(config({ ...WITNESSED, ...times }).witness).toMatchObject({
    refreshSeconds: 60,
    timeoutSeconds: 120,
    gapMs: 1000,
  })
})

test.each([
  [
    { BROKER_RELEASE_REQUIRES: 'witnessed' },
    { requires: 'witnessed', witnessedRoles: [], witnessedAudiences: [] },
  ],
  [
    { BROKER_WITNESSED_ROLES: `${OTHER_ROLE}, ${ROLE}` },
    { requires: 'durable', witnessedRoles: [OTHER_ROLE, ROLE], witnessedAudiences: [] },
  ],
  [
    { BROKER_WITNESSED_AUDIENCES: 'vault,sts.amazonaws.com,vault' },
    { requires: 'durable', witnessedRoles: [], witnessedAudiences: ['vault', 'sts.amazonaws.com'] },
  ],
])('%j gates mints', (variables, release) => {
  const made = config({ ...WITNESSED, ...variables }).release
  expect(made).toEqual(release)
  expect(isGated(made)).toBe(true)
})

test('empty lists name nothing', () => {
  const { release } = config({ BROKER_WITNESSED_ROLES: '', BROKER_WITNESSED_AUDIENCES: ' ' })
  expect(isGated(release)).toBe(false)
})

describe('a problem', () => {
  test.each([
    ['BROKER_RELEASE_REQUIRES', 'witnessed'],
    ['BROKER_WITNESSED_ROLES', ROLE],
    ['BROKER_WITNESSED_AUDIENCES', 'vault'],
  ])('%s=%s without a policy', (name, value) => {
    expect(problems({ [name]: value })).toEqual([
      `${name} asks for witnesses, and there are none: set BROKER_WITNESS_POLICY`,
    ])
  })

  test.each([
    ['BROKER_WITNESS_POLICY', ''],
    ['BROKER_WITNESS_POLICY', '~/witnesses'],
    ['BROKER_RELEASE_REQUIRES', 'Witnessed'],
    ['BROKER_RELEASE_REQUIRES', ''],
    ['BROKER_WITNESS_TIMEOUT_SECONDS', '0'],
    ['BROKER_WITNESS_TIMEOUT_SECONDS', '121'],
    ['BROKER_WITNESS_GAP_MS', '9'],
    ['BROKER_WITNESS_GAP_MS', '1001'],
    ['BROKER_WITNESS_REFRESH_SECONDS', '59'],
    ['BROKER_WITNESS_REFRESH_SECONDS', '1h'],
  ])('%s="%s"', (name, value) => {
    expect(problems({ ...WITNESSED, [name]: value })).toEqual([expect.stringMatching(`^${name}="`)])
  })

  test('a role or an audience that no one may ask for', () => {
    const variables = {
      BROKER_WITNESSED_ROLES: `${ROLE},arn:aws:iam::111122223333:role/dat`,
      BROKER_WITNESSED_AUDIENCES: 'Vault',
    }
    expect(problems({ ...WITNESSED, ...variables })).toEqual([
      expect.stringMatching(/^BROKER_WITNESSED_ROLES=.*may be asked for.*correct item 2$/),
      expect.stringMatching(/^BROKER_WITNESSED_AUDIENCES=.*may be asked for.*correct item 1$/),
    ])
  })

  test('a policy in the place of another file', () => {
    expect(problems({ BROKER_WITNESS_POLICY: '/home/ann/.agentkeys/broker/ledger-key.json' })).toEqual([
      'BROKER_WITNESS_POLICY and BROKER_LEDGER_KEY_PATH name the same file: give each its own',
    ])
  })
})

test('times without a policy are a warning', () => {
  expect(warnings({ BROKER_WITNESS_TIMEOUT_SECONDS: '5' })).toEqual([
    'BROKER_WITNESS_TIMEOUT_SECONDS has no effect without BROKER_WITNESS_POLICY',
  ])
})
