import { resolve } from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { config, FLAGS, ISSUER, problems, warnings } from '../test/support/config-reading.js'
import { readConfig } from './config.js'

test('an empty environment is a broker on this machine, with everything in the home folder', () => {
  expect(readConfig({ HOME: '/home/ann' }, FLAGS)).toEqual({
    config: {
      bind: '127.0.0.1',
      port: 8091,
      skipStartupCheck: false,
      insecureLedger: false,
      issuer: 'http://127.0.0.1:8091',
      policy: {
        issuer: 'http://127.0.0.1:8091',
        dataRoleArn: undefined,
        allowedRoleArns: [],
        readOnlyRoleArns: [],
        allowedAudiences: [],
        jwtTtlSeconds: 300,
        sessionDurationSeconds: 3600,
        sourceIdentity: true,
      },
      policyFiles: { folder: undefined, candidateFolder: undefined, timezone: 'UTC' },
      limits: { wallet: undefined, session: undefined, broker: undefined },
      grantsRequired: false,
      approvals: { seconds: 3600, approvers: [] },
      backend: { kind: 'embedded', bind: { host: '127.0.0.1', port: 8090 } },
      clients: { sessionUrl: undefined, bucket: undefined, mailDomain: 'agentkeys-email.io' },
      aws: { kind: 'off' },
      ledger: {
        store: { kind: 'sqlite', path: '/home/ann/.agentkeys/broker/ledger.sqlite' },
        origin: '127.0.0.1/ledger',
        formerOrigin: '127.0.0.1:8091/ledger',
        keyPath: '/home/ann/.agentkeys/broker/ledger-key.json',
        entries: 'auditor',
      },
      witness: { kind: 'none' },
      release: { requires: 'durable', witnessedRoles: [], witnessedAudiences: [] },
      dataDir: '/home/ann/.agentkeys/broker',
      nodeId: undefined,
      auditDbPath: '/home/ann/.agentkeys/broker/audit.sqlite',
      jwksCacheSeconds: 86_400,
      oidcKeypairPath: '/home/ann/.agentkeys/broker/oidc-keypair.json',
      auditorTokenFile: '/home/ann/.agentkeys/broker/auditor-token',
      operatorTokenFile: '/home/ann/.agentkeys/broker/operator-token',
      longestPauseDays: 30,
      shutdownGraceSeconds: 30,
      logLevel: 'info',
    },
    warnings: [
      'BROKER_OIDC_ISSUER is not set: no cloud can reach http://127.0.0.1:8091, so tokens work on this machine only',
    ],
  })
})

test('a config cannot be changed, at any depth', () => {
  const made = config({ BROKER_ALLOWED_AUDIENCES: 'a' })
  for (const part of [made, made.policy, made.policy.allowedAudiences, made.backend, made.ledger.store]) {
    expect(Object.isFrozen(part)).toBe(true)
  }
})

test('with an issuer of its own there is nothing to warn of', () => {
  expect(warnings({})).toEqual([])
})

describe('files', () => {
  test('live in the data dir unless they have a path of their own', () => {
    const made = config({ BROKER_DATA_DIR: '/srv/keys', BROKER_AUDIT_DB_PATH: 'audit.db' })
    expect([made.dataDir, made.oidcKeypairPath, made.auditDbPath, made.ledger.store]).toEqual([
      '/srv/keys',
      '/srv/keys/oidc-keypair.json',
      resolve('audit.db'),
      { kind: 'sqlite', path: '/srv/keys/ledger.sqlite' },
    ])
  })

  test.each([[undefined], ['']])(
    'without a home (%j) that is the folder the broker is started in',
    (HOME) => {
      expect(config({ HOME }).dataDir).toBe(resolve('.agentkeys/broker'))
    },
  )

  test('have a path each', () => {
    expect(problems({ BROKER_AUDIT_DB_PATH: '/a/../x', BROKER_LEDGER_URL: 'sqlite:/x' })).toEqual([
      'BROKER_LEDGER_URL and BROKER_AUDIT_DB_PATH name the same file: give each its own',
    ])
  })
})

describe('the issuer', () => {
  test('is taken as it is written', () => {
    expect(config({ BROKER_OIDC_ISSUER: `${ISSUER}/a%20b/c` }).issuer).toBe(`${ISSUER}/a%20b/c`)
  })

  test('of http is for this machine only, and says so', () => {
    expect(warnings({ BROKER_OIDC_ISSUER: 'http://localhost:8091' })).toEqual([
      'BROKER_OIDC_ISSUER=http://localhost:8091: no cloud can reach it, so tokens work on this machine only',
    ])
  })

  test('with a port is allowed with a warning', () => {
    expect(warnings({ BROKER_OIDC_ISSUER: `${ISSUER}:8443` })).toEqual([
      `BROKER_OIDC_ISSUER=${ISSUER}:8443: AWS advises against a port in an issuer; put it on 443`,
    ])
  })

  test('cannot be made of a port no one knows yet', () => {
    expect(problems({ BROKER_OIDC_ISSUER: undefined }, { port: 0 })).toEqual([
      'BROKER_OIDC_ISSUER is not set, and with --port 0 it has no default: set it',
    ])
    expect(config({}, { port: 0 }).issuer).toBe(ISSUER)
  })
})

test('a misspelt variable is a warning, its value is not shown', () => {
  expect(warnings({ BROKER_ALOWED_AUDIENCES: 'hunter2' })).toEqual([
    'BROKER_ALOWED_AUDIENCES is not a variable of the broker and has no effect: did you mean BROKER_ALLOWED_AUDIENCES?',
  ])
})
