import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { ROLE, WALLET, startIssuer, type TestIssuer } from '../../test/support/oidc-issuer.js'
import { stsClient } from '../../test/support/sts-client.js'
import { USER_KEY, defaultAccount } from './default-account.js'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const run = promisify(execFile)
const started: ChildProcess[] = []
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'local-aws-'))
})

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
  }
  await rm(dir, { recursive: true })
})

/** Starts the program and waits for its environment. */
async function start(
  ...args: string[]
): Promise<{ child: ChildProcess; environment: Record<string, string> }> {
  const child = spawn(process.execPath, [MAIN, '--json', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  started.push(child)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, environment: JSON.parse(line) as Record<string, string> }
}

/** Runs the program to its end. */
async function outcome(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await run(process.execPath, [MAIN, ...args])) }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

describe('the program', () => {
  test('prints an environment that an AWS client works with, and stops on SIGTERM', async () => {
    const child = spawn(process.execPath, [MAIN, '--json', '--port', '0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    started.push(child)
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const environment = JSON.parse(line) as Record<string, string>
    expect(environment).toEqual({
      AWS_ENDPOINT_URL_STS: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      AWS_ENDPOINT_URL_S3: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      AWS_REGION: 'us-east-1',
      AWS_DEFAULT_REGION: 'us-east-1',
      BROKER_DATA_ROLE_ARN: ROLE,
      AWS_ACCESS_KEY_ID: USER_KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: USER_KEY.secretAccessKey,
    })
    const { Account } = await stsClient(environment['AWS_ENDPOINT_URL_STS'] ?? '', USER_KEY).send(
      new GetCallerIdentityCommand({}),
    )
    expect(Account).toBe('111122223333')
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(stderr).toMatch(/for development and tests\. Its credentials open nothing at AWS\.\n/)
    expect(stderr).toContain('GetCallerIdentity   -> ok')
    expect(stderr).not.toContain(USER_KEY.secretAccessKey)
  })

  test('prints lines for a shell when not asked for JSON', async () => {
    const child = spawn(process.execPath, [MAIN, '--port', '0'], { stdio: ['ignore', 'pipe', 'ignore'] })
    started.push(child)
    const [first] = (await once(createInterface(child.stdout), 'line')) as [string]
    expect(first).toMatch(/^export AWS_ENDPOINT_URL_STS=http:\/\/127\.0\.0\.1:\d+$/)
  })

  test('takes its accounts from a file, and then prints no key', async () => {
    const file = join(dir, 'account.json')
    await writeFile(file, JSON.stringify(defaultAccount('https://broker.example.com')))
    const { environment } = await start('--config', file)
    expect(Object.keys(environment)).toEqual([
      'AWS_ENDPOINT_URL_STS',
      'AWS_ENDPOINT_URL_S3',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
    ])
  })

  test('explains itself and gives its version', async () => {
    expect(await outcome('--help')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Usage: '),
      stderr: '',
    })
    expect(await outcome('--version')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    })
  })

  test.each([
    [['--bind', '0.0.0.0'], "Unknown option '--bind'"],
    [['--port', '65536'], '--port must be 0 to 65535'],
    [['--port', '80x'], '--port must be 0 to 65535'],
    [['--issuer', 'http://broker.example.com', '--port', '0'], 'providers[0].url must be https'],
    [['--issuer', 'http://127.0.0.1', '--config', 'x'], '--issuer is for the default account'],
  ])('takes %j as wrong usage', async (args, message) => {
    expect(await outcome(...args)).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
  })

  test('takes a file with a mistake in it as wrong usage, and says where', async () => {
    const file = join(dir, 'account.json')
    await writeFile(file, JSON.stringify({ ...defaultAccount('https://broker.example.com'), tables: [] }))
    expect(await outcome('--config', file)).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('config.tables is unknown'),
    })
    await writeFile(file, '{')
    expect(await outcome('--config', file)).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('is not JSON'),
    })
  })

  test('ends with 3 for a file it cannot read or a port it cannot have', async () => {
    expect(await outcome('--config', join(dir, 'none'))).toEqual({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('cannot be read'),
    })
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const refused = await outcome('--port', String(port))
    await new Promise((resolve) => taken.close(resolve))
    expect(refused).toEqual({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining(`cannot listen on port ${port}`),
    })
  })
})

const cli = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'aws'))
  .find(existsSync)

if (cli === undefined) {
  test('there is no AWS CLI on the PATH, so its round trip was not tried', () => {
    console.warn('no aws on PATH: the round trip of the AWS CLI was not tried')
    expect(cli).toBeUndefined()
  })
} else {
  describe(`the AWS CLI at ${cli}`, () => {
    let issuer: TestIssuer
    beforeEach(async () => {
      issuer = await startIssuer()
    })
    afterEach(() => issuer.close())

    test('exchanges a token and is who it became', async () => {
      const { environment } = await start('--issuer', issuer.url)
      const endpoint = environment['AWS_ENDPOINT_URL_STS'] ?? ''
      const token = join(dir, 'token')
      await writeFile(token, await issuer.token())
      const ask = [
        'assume-role-with-web-identity',
        '--role-arn',
        ROLE,
        '--role-session-name',
        'agentkeys-cli',
      ]
      const answer = await aws(endpoint, {}, ...ask, '--web-identity-token', `file://${token}`)
      expect(answer).toMatchObject({ SourceIdentity: WALLET, Audience: 'sts.amazonaws.com' })
      const {
        AccessKeyId = '',
        SecretAccessKey = '',
        SessionToken = '',
      } = answer['Credentials'] as Record<string, string>
      const keys = {
        AWS_ACCESS_KEY_ID: AccessKeyId,
        AWS_SECRET_ACCESS_KEY: SecretAccessKey,
        AWS_SESSION_TOKEN: SessionToken,
      }
      expect(await aws(endpoint, keys, 'get-caller-identity')).toMatchObject({
        Arn: 'arn:aws:sts::111122223333:assumed-role/agentkeys-data-role/agentkeys-cli',
      })
    })

    async function aws(
      endpoint: string,
      keys: Record<string, string>,
      ...args: string[]
    ): Promise<Record<string, unknown>> {
      // A home without a profile: nothing of the machine's own profiles is used.
      const env = {
        PATH: process.env['PATH'],
        HOME: dir,
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_EC2_METADATA_DISABLED: 'true',
        ...keys,
      }
      const { stdout } = await run(
        cli ?? '',
        ['--endpoint-url', endpoint, '--output', 'json', 'sts', ...args],
        { env },
      )
      return JSON.parse(stdout) as Record<string, unknown>
    }
  })
}
