import { describe, expect, test } from '@jest/globals'

import { config, problems, read } from '../../test/support/config-reading.js'
import type { Config } from '../config.js'
import type { Variables } from './environment.js'
import { SECRET_VARIABLES } from './variables.js'

const ROLE = 'arn:aws:iam::111122223333:role/agentkeys-data-role'

describe('every variable that is wrong gives one line: its name, what it was, what was expected', () => {
  const wrong: [string, string, string, Variables?][] = [
    [
      'BROKER_OIDC_ISSUER',
      'broker.example.com',
      'expected a URL with its scheme; write it like https://broker.example.com',
    ],
    [
      'BROKER_OIDC_KEYPAIR_PATH',
      '',
      'expected a path; correct it, or unset it for /home/ann/.agentkeys/broker/oidc-keypair.json',
    ],
    [
      'BROKER_OIDC_JWT_TTL_SECONDS',
      '59',
      'expected a whole number of seconds, 60 to 3600; correct it, or unset it for 300',
    ],
    [
      'BROKER_ALLOWED_AUDIENCES',
      'a,,b c',
      'expected a comma-separated list of audiences, 1 to 255 visible ASCII characters each, without *; correct item 2 and 3',
    ],
    [
      'BROKER_BACKEND_URL',
      '',
      'expected an http or https URL without user, query and fragment, such as http://127.0.0.1:8090; correct it',
    ],
    [
      'BROKER_BACKEND_TIMEOUT_SECONDS',
      '0',
      'expected a whole number of seconds, 1 to 300; correct it, or unset it for 10',
    ],
    [
      'BROKER_SESSION_BIND',
      '8090',
      'expected HOST:PORT, such as 127.0.0.1:8090 or [::1]:8090; correct it, or unset it',
    ],
    [
      'BROKER_DATA_ROLE_ARN',
      '',
      'expected a role ARN, arn:aws:iam::<12 digits>:role/<name>; correct it, or unset it',
    ],
    [
      'BROKER_AGENT_ROLE_ARN',
      'agentkeys',
      'expected a role ARN, arn:aws:iam::<12 digits>:role/<name>; correct it, or unset it',
    ],
    ['ACCOUNT_ID', '11112222333', 'expected an AWS account id of 12 digits; correct it, or unset it'],
    [
      'BROKER_ALLOWED_ROLE_ARNS',
      `${ROLE},arn:aws:iam::111122223333:role/*`,
      'expected a comma-separated list of role ARNs, arn:aws:iam::<12 digits>:role/<name>; correct item 2',
    ],
    [
      'BROKER_SESSION_DURATION_SECONDS',
      '43201',
      'expected a whole number of seconds, 900 to 43200; correct it, or unset it for 3600',
    ],
    [
      'BROKER_STS_MODE',
      'Assume-Role',
      'expected web-identity or assume-role; correct it, or unset it for web-identity',
      { BROKER_DATA_ROLE_ARN: ROLE },
    ],
    ['BROKER_STS_SOURCE_IDENTITY', 'true', 'expected on or off; correct it, or unset it for on'],
    [
      'BROKER_AWS_REGION',
      'us-east-1.evil',
      'expected an AWS region, such as eu-central-1; correct it, or unset it for us-east-1',
    ],
    [
      'REGION',
      'Frankfurt',
      'expected an AWS region, such as eu-central-1; correct it, or unset it for us-east-1',
    ],
    [
      'AWS_ENDPOINT_URL_STS',
      'localhost:4566',
      'expected an http or https URL without user, query and fragment, such as http://127.0.0.1:8090; correct it',
    ],
    [
      'BROKER_LEDGER_URL',
      'postgres://db',
      'expected sqlite:PATH or esdb://user:password@host:port?options; correct it',
    ],
    [
      'BROKER_LEDGER_STREAM',
      '$all',
      'expected a letter or digit, then up to 99 letters, digits, dots, dashes and underscores; correct it, or unset it for agentkeys-ledger',
      { BROKER_LEDGER_URL: 'esdb://db?tls=false' },
    ],
    [
      'BROKER_LEDGER_ORIGIN',
      'a+b',
      'expected a name of at most 255 bytes without spaces, plus signs and control characters; correct it, or unset it for broker.example.com/ledger',
    ],
    [
      'BROKER_LEDGER_KEY_PATH',
      '~/key',
      'expected a path without ~, which is not expanded here; write the whole path',
    ],
    ['BROKER_LEDGER_ENTRIES', 'all', 'expected auditor or public; correct it, or unset it for auditor'],
    ['BROKER_DATA_DIR', '', 'expected a path; correct it, or unset it for /home/ann/.agentkeys/broker'],
    [
      'BROKER_NODE_ID',
      'a/b',
      'expected 1 to 64 letters, digits, dots, dashes and underscores; correct it, or unset it',
    ],
    [
      'BROKER_AUDIT_DB_PATH',
      '',
      'expected a path; correct it, or unset it for /home/ann/.agentkeys/broker/audit.sqlite',
    ],
    [
      'BROKER_AUDITOR_TOKEN_FILE',
      '',
      'expected a path; correct it, or unset it for /home/ann/.agentkeys/broker/auditor-token',
    ],
    [
      'BROKER_OPERATOR_TOKEN_FILE',
      '',
      'expected a path; correct it, or unset it for /home/ann/.agentkeys/broker/operator-token',
    ],
    [
      'BROKER_SHUTDOWN_GRACE_SECONDS',
      '-1',
      'expected a whole number of seconds, 0 to 300; correct it, or unset it for 30',
    ],
    [
      'BROKER_LONGEST_PAUSE_DAYS',
      '0',
      'expected a whole number of days, 1 to 36500; correct it, or unset it for 30',
    ],
    [
      'BROKER_LOG',
      'verbose',
      'expected trace or debug or info or warn or error or off; correct it, or unset it for info',
    ],
    [
      'RUST_LOG',
      'verbose',
      'expected trace or debug or info or warn or error or off; correct it, or unset it',
    ],
  ]

  test.each(wrong)('%s=%j', (name, value, complaint, others = {}) => {
    expect(read({ ...others, [name]: value })).toEqual({
      problems: [`${name}="${value}": ${complaint}`],
      warnings: [],
    })
  })

  test('and all of them at once give all the lines', () => {
    // Another variable that is set comes before each of these, so they are not looked at.
    const shadowed = ['BROKER_AGENT_ROLE_ARN', 'ACCOUNT_ID', 'REGION', 'BROKER_SESSION_BIND', 'RUST_LOG']
    const all = Object.fromEntries(wrong.map(([name, value]) => [name, value]))
    const named = problems(all).map((line) => line.replace(/=.*/s, ''))
    const expected = wrong.map(([name]) => name).filter((name) => !shadowed.includes(name))
    expect(named.sort()).toEqual(expected.sort())
  })

  test.each([['3600.0'], ['1e3'], ['0x400'], [' 900'], ['900s'], ['+900'], [''], ['٩٠٠'], ['900\n']])(
    'a number is decimal digits and nothing else: %j',
    (value) => {
      expect(problems({ BROKER_SESSION_DURATION_SECONDS: value })).toHaveLength(1)
    },
  )

  test('a value with line breaks cannot forge a line', () => {
    const [line] = problems({ BROKER_STS_MODE: 'x\nINFO all is well\u001b[2J' })
    expect(line).toMatch(/^BROKER_STS_MODE="x\\u\{a}INFO all is well\\u\{1b}\[2J": expected/)
  })
})

test('the bounds themselves are within bounds', () => {
  const low = config({
    BROKER_OIDC_JWT_TTL_SECONDS: '60',
    BROKER_SESSION_DURATION_SECONDS: '900',
    BROKER_BACKEND_URL: 'https://b',
    BROKER_BACKEND_TIMEOUT_SECONDS: '1',
    BROKER_SHUTDOWN_GRACE_SECONDS: '0',
  })
  const high = config({
    BROKER_OIDC_JWT_TTL_SECONDS: '3600',
    BROKER_SESSION_DURATION_SECONDS: '43200',
    BROKER_BACKEND_URL: 'https://b',
    BROKER_BACKEND_TIMEOUT_SECONDS: '300',
    BROKER_SHUTDOWN_GRACE_SECONDS: '300',
  })
  const numbers = ({ policy, backend, shutdownGraceSeconds }: Config) => [
    policy.jwtTtlSeconds,
    policy.sessionDurationSeconds,
    'timeoutSeconds' in backend && backend.timeoutSeconds,
    shutdownGraceSeconds,
  ]
  expect([numbers(low), numbers(high)]).toEqual([
    [60, 900, 1, 0],
    [3600, 43_200, 300, 300],
  ])
})

test('no secret is in any problem or warning, whatever else is wrong with it', () => {
  const secret = 'hunter2'
  const environments: Variables[] = [
    ...SECRET_VARIABLES.map((name) => ({ [name]: secret })),
    { DAEMON_ACCESS_KEY_ID: secret, DAEMON_SECRET_ACCESS_KEY: secret, BROKER_STS_MODE: 'x' },
    { BROKER_OIDC_ISSUER: `https://ann:${secret}@broker.example.com` },
    { BROKER_OIDC_ISSUER: `https://broker.example.com?token=${secret}` },
    { BROKER_BACKEND_URL: `https://ann:${secret}@backend` },
    { BROKER_BACKEND_URL: `https://backend/?token=${secret}` },
    { AWS_ENDPOINT_URL_STS: `http://ann:${secret}@sts` },
    { BROKER_LEDGER_URL: `esdb://ann:${secret}:x@db` },
    { BROKER_LEDGER_URL: `esdb://ann:${secret}#x@db` },
    { BROKER_LEDGER_URL: `esdb:/ann:${secret}@db` },
    { BROKER_LEDGER_URL: `esdb://ann:${secret}%@db` },
    { BROKER_LEDGER_URL: `esdb://ann:${secret}@db?x` },
    { BROKER_LEDGER_URL: `esdb://ann:${secret}` },
    { BROKER_LEDGER_URL: ` ESDB://ann:${secret}` },
    { BROKER_UNKNOWN: secret },
  ]
  for (const variables of environments) {
    const reading = read(variables)
    const lines = [...('problems' in reading ? reading.problems : []), ...reading.warnings]
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.join('\n')).not.toContain(secret)
  }
})
