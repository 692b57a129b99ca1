import { expect, test } from '@jest/globals'

import * as reading from '../../test/support/config-reading.js'
import { configSha256, describeConfig, effectiveConfig } from './effective.js'
import type { Variables } from './environment.js'

const ROLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'
const FULL = {
  HOME: '/home/ann',
  BROKER_OIDC_ISSUER: 'https://broker.example.com',
  BROKER_BACKEND_URL: 'https://sessions.example.com',
  BROKER_DATA_ROLE_ARN: ROLE,
  BROKER_STS_MODE: 'assume-role',
  DAEMON_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  DAEMON_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:8093',
  BROKER_LEDGER_URL: 'esdb://ledger-app:hunter2@node1:2111,node2:2112?tlsCAFile=/ca.crt',
  BROKER_WITNESS_POLICY: '/etc/agentkeys/witnesses',
  BROKER_WITNESSED_ROLES: ROLE,
  BROKER_NODE_ID: 'node-a',
}

const config = (variables: Variables) => reading.config(variables, { bind: '::1' })

test('the effective configuration is what decides who gets what, without a secret', () => {
  expect(effectiveConfig(config(FULL))).toEqual({
    issuer: 'https://broker.example.com',
    policy: {
      dataRoleArn: ROLE,
      allowedRoleArns: [],
      readOnlyRoleArns: [],
      allowedAudiences: [],
      jwtTtlSeconds: 300,
      sessionDurationSeconds: 3600,
      sourceIdentity: true,
    },
    limits: { walletPerMinute: null, sessionPerMinute: null, brokerPerMinute: null },
    grantsRequired: false,
    approvals: { seconds: 3600, approvers: [] },
    jwksCacheSeconds: 86_400,
    backend: { kind: 'http', url: 'https://sessions.example.com' },
    aws: {
      kind: 'assume-role',
      region: 'us-east-1',
      stsEndpoint: 'http://127.0.0.1:8093',
      stsKind: 'aws',
      credentials: 'static',
    },
    ledger: {
      store: { kind: 'esdb', url: 'esdb://node1:2111,node2:2112', stream: 'agentkeys-ledger' },
      origin: 'broker.example.com/ledger',
      entries: 'auditor',
    },
    witness: { kind: 'policy', refreshSeconds: 3600, timeoutSeconds: 10, gapMs: 100 },
    release: { requires: 'durable', witnessedRoles: [ROLE], witnessedAudiences: [] },
  })
})

test('no secret is in what is printed', () => {
  const printed = JSON.stringify(describeConfig(config(FULL)))
  for (const secret of ['hunter2', 'ledger-app', FULL.DAEMON_ACCESS_KEY_ID, FULL.DAEMON_SECRET_ACCESS_KEY]) {
    expect(printed).not.toContain(secret)
  }
})

test("what is printed adds what is this machine's own", () => {
  expect(describeConfig(config({ HOME: '/home/ann' })).node).toEqual({
    listen: '[::1]:8091',
    sessionBind: '127.0.0.1:8090',
    mailDomain: 'agentkeys-email.io',
    dataDir: '/home/ann/.agentkeys/broker',
    ledgerPath: '/home/ann/.agentkeys/broker/ledger.sqlite',
    ledgerKeyPath: '/home/ann/.agentkeys/broker/ledger-key.json',
    oidcKeypairPath: '/home/ann/.agentkeys/broker/oidc-keypair.json',
    auditDbPath: '/home/ann/.agentkeys/broker/audit.sqlite',
    auditorTokenFile: '/home/ann/.agentkeys/broker/auditor-token',
    operatorTokenFile: '/home/ann/.agentkeys/broker/operator-token',
    longestPauseDays: 30,
    shutdownGraceSeconds: 30,
    logLevel: 'info',
    skipStartupCheck: false,
    insecureLedger: false,
  })
})

test('the hash changes with the policy, and not with the machine or a rotated secret', () => {
  const hash = (variables: Variables) => configSha256(config({ ...FULL, ...variables }))
  const before = hash({})
  expect(before).toMatch(/^[0-9a-f]{64}$/)
  expect(hash({ BROKER_DATA_DIR: '/srv', BROKER_NODE_ID: 'node-b', BROKER_LOG: 'debug' })).toBe(before)
  expect(hash({ DAEMON_SECRET_ACCESS_KEY: 'another-secret-access-key' })).toBe(before)
  expect(hash({ BROKER_LEDGER_URL: 'esdb://ledger-app:hunter3@node1:2111,node2:2112' })).toBe(before)
  expect(hash({ BROKER_ALLOWED_AUDIENCES: 'x' })).not.toBe(before)
  expect(hash({ AWS_REGION: 'eu-west-1' })).not.toBe(before)
  expect(hash({ AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:8094' })).not.toBe(before)
})
