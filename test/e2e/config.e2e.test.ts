// The program's command line and environment, wrong in the ways they are wrong in practice: all of it is said at once,
// and nothing is touched.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { expectVerified } from '../support/audited-ledger.js'
import { BrokerProcess } from '../support/broker-process.js'

let dir: string

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
})

afterAll(() => rmSync(dir, { recursive: true }))

interface Ended {
  code: number | NodeJS.Signals
  out: string
  /** Lines of stderr. */
  said: string[]
}

/** Runs it to its end, on a data directory that does not exist; it must not exist afterwards. */
async function ended(env: Record<string, string>, flags: string[] = []): Promise<Ended> {
  const dataDir = join(dir, 'untouched')
  const broker = await BrokerProcess.spawn({ env, flags, dataDir })
  const code = await broker.exited()
  expect(existsSync(dataDir)).toBe(false)
  return { code, out: broker.out, said: broker.log.split('\n').filter((line) => line !== '') }
}

const SECRET = 'wJalrXUtnFEMIK7MDENGbPxRfiCYcanary'
const KEY_ID = 'AKIAIOSFODNN7CANARY0'

const WRONG: Record<string, { value: string; line: RegExp }> = {
  BROKER_OIDC_ISSUER: { value: 'http://broker.example.com', line: /expected an https URL .*proxy/ },
  BROKER_BACKEND_URL: { value: 'localhost:8090', line: /expected an http or https URL/ },
  BROKER_BACKEND_TIMEOUT_SECONDS: { value: '10s', line: /expected a whole number of seconds, 1 to 300/ },
  BROKER_OIDC_JWT_TTL_SECONDS: { value: '59', line: /expected a whole number of seconds, 60 to 3600/ },
  BROKER_SESSION_DURATION_SECONDS: { value: '1e3', line: /whole number of seconds, 900 to 43200/ },
  BROKER_SHUTDOWN_GRACE_SECONDS: { value: '-1', line: /expected a whole number of seconds/ },
  BROKER_DATA_ROLE_ARN: { value: 'agentkeys-data-role', line: /expected a role ARN/ },
  BROKER_ALLOWED_ROLE_ARNS: { value: 'arn:aws:iam::111122223333:role/*', line: /role ARNs.*correct item 1/ },
  BROKER_ALLOWED_AUDIENCES: { value: 'https://a.example,*', line: /audiences.*correct item 2/ },
  BROKER_STS_MODE: { value: 'webidentity', line: /expected web-identity or assume-role/ },
  BROKER_STS_SOURCE_IDENTITY: { value: 'false', line: /expected on or off/ },
  BROKER_AWS_REGION: { value: 'us-east-1.evil.example', line: /expected an AWS region/ },
  BROKER_LEDGER_URL: { value: 'postgres://ledger', line: /expected sqlite:PATH or esdb:/ },
  BROKER_LEDGER_ENTRIES: { value: 'everyone', line: /expected auditor or public/ },
  BROKER_LOG: { value: 'loud', line: /expected trace or debug/ },
}

describe('a wrong environment', () => {
  const problems = ({ said }: Ended) => said.filter((line) => !line.startsWith('warning: '))

  test.each(['BROKER_OIDC_ISSUER', 'BROKER_DATA_ROLE_ARN', 'BROKER_LEDGER_URL'])(
    '%s alone: one line that names it, its value and what was expected; exit 1',
    async (name) => {
      const { value = '', line = /^$/ } = WRONG[name] ?? {}
      const result = await ended({ [name]: value })
      expect(result.code).toBe(1)
      expect(problems(result)).toEqual([expect.stringMatching(line)])
      expect(problems(result)[0]).toContain(`error: ${name}="${value}": `)
      expect(result.out).toBe('')
    },
  )

  test('all at once: one line for each', async () => {
    const env = Object.fromEntries(Object.entries(WRONG).map(([name, { value }]) => [name, value]))
    const result = await ended(env)
    expect(result.code).toBe(1)
    for (const [name, { line }] of Object.entries(WRONG)) {
      const lines = result.said.filter((said) => said.startsWith(`error: ${name}`))
      expect([name, lines]).toEqual([name, [expect.stringMatching(line)]])
    }
    expect(problems(result)).toHaveLength(Object.keys(WRONG).length)
  })

  test('one of two static keys: both or neither, and the one that is set is not shown', async () => {
    const only = await ended({ DAEMON_SECRET_ACCESS_KEY: SECRET })
    expect(only.code).toBe(1)
    expect(problems(only)).toEqual([
      'error: DAEMON_ACCESS_KEY_ID is not set while DAEMON_SECRET_ACCESS_KEY is: set both or neither',
    ])
    const malformed = await ended({
      DAEMON_ACCESS_KEY_ID: KEY_ID.toLowerCase(),
      DAEMON_SECRET_ACCESS_KEY: 'short',
    })
    expect(problems(malformed)).toHaveLength(2)
    expect(malformed.said.join('\n')).not.toMatch(/canary0|short/i)
  })

  test('a misspelt variable is pointed out, and its value is not shown', async () => {
    const { said } = await ended({ BROKER_ALLOWED_AUDIENCE: SECRET, BROKER_LOG: 'loud' })
    expect(said).toContainEqual(
      expect.stringMatching(/^warning: BROKER_ALLOWED_AUDIENCE .*BROKER_ALLOWED_AUDIENCES\?/),
    )
    expect(said.join('\n')).not.toContain(SECRET)
  })
})

describe('the command line', () => {
  test('an unknown flag, a stray argument or a port that is none: usage on stderr, exit 2', async () => {
    for (const [flags, line] of [
      [['--prot', '80'], /Unknown option '--prot'/],
      [['serve', SECRET], /takes flags only/],
      [['--port', '99999'], /--port "99999": expected a number, 0 to 65535/],
      [['--bind', '0.0.0.0:80'], /--bind "0.0.0.0:80": expected an IP address/],
    ] as const) {
      const { code, out, said } = await ended({}, [...flags])
      expect([code, out]).toEqual([2, ''])
      expect(said).toEqual([expect.stringMatching(line), expect.stringMatching(/^Usage: /)])
      expect(said.join('\n')).not.toContain(SECRET)
    }
  })

  test('--help and --version answer on stdout, whatever the environment', async () => {
    const help = await ended({ BROKER_LOG: 'loud' }, ['--help'])
    expect([help.code, help.said]).toEqual([0, []])
    for (const flag of ['--port', '--bind', '--skip-startup-check', '--print-config']) {
      expect(help.out).toContain(flag)
    }
    const version = await ended({ BROKER_LOG: 'loud' }, ['--version'])
    expect(version).toEqual({ code: 0, said: [], out: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/) })
  })

  test('--print-config shows what is in effect and no secret', async () => {
    const { code, out } = await ended(
      {
        BROKER_OIDC_ISSUER: 'https://broker.example.com/',
        ACCOUNT_ID: '111122223333',
        BROKER_STS_MODE: 'assume-role',
        DAEMON_ACCESS_KEY_ID: KEY_ID,
        DAEMON_SECRET_ACCESS_KEY: SECRET,
        BROKER_LEDGER_URL: 'esdb://admin:changeit-canary@ledger.example.com:2113',
      },
      ['--print-config'],
    )
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      issuer: 'https://broker.example.com',
      policy: { dataRoleArn: 'arn:aws:iam::111122223333:role/agentkeys-data-role' },
      aws: { kind: 'assume-role', region: 'us-east-1', credentials: 'static' },
      ledger: { origin: 'broker.example.com/ledger' },
    })
    expect(out).not.toMatch(/canary|changeit/i)
  })
})

describe('a start that fails later', () => {
  test('on a port that is taken: exit 1, one reason, and a ledger that verifies', async () => {
    const first = await BrokerProcess.start()
    try {
      const second = await BrokerProcess.spawn({ port: first.options.port })
      expect(await second.exited()).toBe(1)
      expect(second.log).toContain(
        'refusing to start: --bind and --port: the address cannot be used (listen EADDRINUSE',
      )
      await expectVerified(second.dataDir)
      await second.dispose()
    } finally {
      await first.dispose()
    }
  })

  test('on the data directory of a broker that runs: exit 1, says so, and the first one goes on', async () => {
    const first = await BrokerProcess.start()
    try {
      const keys = () =>
        ['ledger-key.json', 'oidc-keypair.json', 'auditor-token', 'node-id'].map((name) =>
          readFileSync(join(first.dataDir, name), 'utf8'),
        )
      const before = keys()
      const second = await BrokerProcess.spawn({ dataDir: first.dataDir })
      expect(await second.exited()).toBe(1)
      expect(second.log).toContain('another broker is running on it')
      expect(keys()).toEqual(before)
      const { session } = await first.session()
      expect((await first.post('/v1/mint-oidc-jwt', session)).status).toBe(200)
      await expectVerified(first.dataDir)
    } finally {
      await first.dispose()
    }
  })

  test('with another issuer on the same ledger: exit 1, and it says how to go back', async () => {
    const first = await BrokerProcess.start()
    await first.stop()
    const second = await BrokerProcess.spawn({
      dataDir: first.dataDir,
      env: { BROKER_OIDC_ISSUER: 'https://broker.example.com' },
    })
    expect(await second.exited()).toBe(1)
    expect(second.log).toMatch(/refusing to start: .*set BROKER_LEDGER_ORIGIN \(or BROKER_OIDC_ISSUER\) back/)
    await expectVerified(first.dataDir)
    await second.dispose()
  })
})
