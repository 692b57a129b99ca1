// The agentkeys command line against a broker, its embedded session backend and the local AWS.

import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type Ended } from '../support/cli.js'
import { VKEY } from '../support/ledger-builder.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

let world: BrokerWithAws
let cli: Cli
beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli({
    AGENTKEYS_BROKER_URL: world.broker.url,
    AGENTKEYS_BACKEND_URL: world.broker.sessionUrl,
    AWS_ENDPOINT_URL_STS: world.aws.url,
  })
  expect(await cli.run(['init', '--auth-token', '-'], { input: 'somebody\n' })).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  cli.dispose()
  await world.dispose()
})

const json = <T>({ stdout }: Ended) => JSON.parse(stdout) as T

const mints = async () => (await verifiedLedger(world.broker.dataDir)).of('CredsMinted').length

describe('init', () => {
  test('prints the wallet, pins the ledger key, and keeps the session in a file of its owner only', async () => {
    const who = json<Record<string, string>>(await cli.run(['whoami', '--json']))
    expect(who['wallet']).toMatch(/^0x[0-9a-f]{40}$/)
    expect(who['session_store']).toBe('file')
    const vkey = await (await fetch(`${world.broker.url}/ledger/vkey`)).text()
    expect(who['ledger_vkey']).toBe(vkey.trim())
    const root = join(cli.home, '.agentkeys')
    const modes = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => {
      const found = statSync(join(root, name))
      return [found.isDirectory(), found.mode & 0o777]
    })
    expect(modes.every(([folder, mode]) => mode === (folder ? 0o700 : 0o600))).toBe(true)
  })

  test('refuses a broker whose ledger key is not the one that was given', async () => {
    const other = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url })
    const { code, stderr } = await other.run(['init', '--ledger-vkey', VKEY, '--auth-token', '-'], {
      input: 'x',
    })
    other.dispose()
    expect([code, stderr]).toEqual([1, expect.stringContaining('another ledger key')])
  })

  test('an auth token that the backend refuses is exit 1, and is not repeated to the user', async () => {
    const { code, stderr } = await cli.run(['init', '--auth-token', '-'], { input: 'invalid' })
    expect(code).toBe(1)
    expect(stderr).toContain('auth token not valid')
  })
})

describe('usage', () => {
  test.each([
    [[], 2, 'no command given'],
    [['whomai'], 2, 'did you mean whoami?'],
    [['whoami', '--jsn'], 2, "Unknown option '--jsn'"],
    [['whoami', 'x'], 2, 'unexpected argument "x"'],
    [['exec'], 2, 'the command to run is missing'],
    [['exec', '--'], 2, 'the command to run is missing'],
    [['whoami', '--', 'ls'], 2, '-- is not expected'],
    [['token', '--audience', 'a', '--for', 'aws'], 2, '--audience and --for'],
    [['token', '--for', 'asw'], 2, 'did you mean aws?'],
    [['token', '--for', 'azure'], 1, 'RS256'],
    [['token', '--ttl', '1.5'], 2, '--ttl'],
    [['whoami', '--session-id', '../x'], 2, '--session-id'],
    [['whoami', '--receipts', 'maybe'], 2, '--receipts'],
    [['token', '--receipts', 'maybe'], 2, '--receipts'],
    [['whoami', '--broker-url', 'http://broker.example.com'], 2, 'https'],
    [['whoami', '--session-id', 'none'], 1, 'agentkeys init'],
    [['token', '--broker-url', 'http://127.0.0.1:1', '--session', 'x'], 3, 'cannot be reached'],
  ])('agentkeys %j exits %d', async (args, expected, text) => {
    const { code, stderr, stdout } = await cli.run(args)
    expect([code, stderr]).toEqual([expected, expect.stringContaining(text)])
    expect(stderr).not.toContain('    at ')
    if (code !== 0) expect(stdout).toBe('')
  })

  test('help and completion name every command', async () => {
    const { stdout: help } = await cli.run(['--help'])
    const { stdout: bash } = await cli.run(['completion', 'bash'])
    for (const name of ['init', 'exec', 'token', 'credential-process', 'receipts']) {
      expect(help).toContain(`  ${name}`)
      expect(bash).toContain(`    ${name})`)
    }
  })

  test('with --json an error is JSON on stderr', async () => {
    const { stderr } = await cli.run(['whoami', '--session-id', 'none', '--json'])
    expect(JSON.parse(stderr)).toEqual({ error: expect.objectContaining({ remedy: expect.any(String) }) })
  })

  test('a session file that others can read is refused', async () => {
    await cli.run(['init', '--session-id', 'loose', '--auth-token', '-'], { input: 'loose' })
    const root = join(cli.home, '.agentkeys')
    const [name = ''] = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((one) =>
      one.endsWith('loose.json'),
    )
    chmodSync(join(root, name), 0o644)
    const { code, stderr } = await cli.run(['token', '--session-id', 'loose'])
    expect([code, stderr]).toEqual([3, expect.stringContaining('chmod 600')])
  })
})

describe('token', () => {
  test.each([
    ['raw', /^[\w-]+\.[\w-]+\.[\w-]+$/],
    ['json', /^\{"jwt":"[^"]+","jti":"[0-9a-f-]{36}","wallet":"0x[0-9a-f]{40}","expires_at":"[^"]+"\}\n$/],
    [
      'gcp-executable',
      /^\{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:id_token",/,
    ],
    ['k8s-exec', /^\{"apiVersion":"client\.authentication\.k8s\.io\/v1","kind":"ExecCredential","status":\{/],
  ])('--format %s', async (format, shape) => {
    const { code, stdout } = await cli.run(['token', '--format', format])
    expect(code).toBe(0)
    expect(stdout).toMatch(shape)
  })

  test('--write makes a file of mode 0600 that holds the token and nothing else', async () => {
    const path = join(cli.home, 'token.jwt')
    expect(await cli.run(['token', '--write', path])).toMatchObject({ code: 0, stdout: '' })
    expect(readFileSync(path, 'utf8')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]{86}$/)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('an audience that the operator did not allow is exit 1 with what to do', async () => {
    const { code, stderr } = await cli.run(['token', '--audience', 'https://example.com'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('ask the operator')])
  })
})

describe('credential-process', () => {
  test('prints what AWS SDKs read, from the cache the second time', async () => {
    const [one, two] = [await cli.run(['credential-process']), await cli.run(['credential-process'])]
    expect(json(one)).toEqual({
      Version: 1,
      AccessKeyId: expect.stringMatching(/^ASIA/),
      SecretAccessKey: expect.any(String),
      SessionToken: expect.any(String),
      Expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      AccountId: '111122223333',
    })
    expect(two.stdout).toBe(one.stdout)
  })

  test('fifty at once cause one mint', async () => {
    await cli.run(['init', '--session-id', 'many', '--auth-token', '-'], { input: 'many' })
    const before = await mints()
    const all = await Promise.all(
      Array.from({ length: 50 }, () => cli.run(['credential-process', '--session-id', 'many'])),
    )
    expect(all.map(({ code }) => code)).toEqual(Array(50).fill(0))
    expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(1)
    expect((await mints()) - before).toBe(1)
  })

  test('a holder of the lock that was killed does not keep the others out, and one of them mints', async () => {
    await cli.run(['init', '--session-id', 'killed', '--auth-token', '-'], { input: 'killed' })
    const args = ['credential-process', '--session-id', 'killed']
    const first = cli.start(args)
    const cache = () =>
      readdirSync(join(cli.home, '.agentkeys'), { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.lock'),
      ).length
    const locks = cache()
    await until(
      () => cache() > locks || first.child.exitCode !== null,
      () => 'no lock was taken',
    )
    const waiting = Array.from({ length: 5 }, () => cli.run(args))
    first.child.kill('SIGKILL')
    await first.ended
    const before = await mints()
    const all = await Promise.all(waiting)
    expect(all.map(({ code }) => code)).toEqual(Array(5).fill(0))
    expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(1)
    // The one that was killed may have got its own, and kept nothing.
    expect((await mints()) - before).toBeLessThanOrEqual(2)
  })

  test('a session that was revoked is refused once the cache has nothing fresh', async () => {
    const { code, stderr } = await cli.run(['credential-process'], {
      env: { AGENTKEYS_SESSION: 'f'.repeat(64) },
    })
    expect([code, stderr]).toEqual([1, expect.stringContaining('agentkeys init')])
  })
})

const CALLER = `
  import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
  const { Arn } = await new STSClient().send(new GetCallerIdentityCommand())
  process.stdout.write(JSON.stringify({ Arn, env: process.env }))
`

/** In the project's own folder, where the SDK is found. */
function program(): string {
  const path = join(PROJECT, 'dist', `caller-${process.pid}.mjs`)
  writeFileSync(path, CALLER)
  return path
}

describe('exec', () => {
  /** A profile and variables that outrank a container endpoint in every SDK, if they are left in sight. */
  const hostile = (): Record<string, string> => {
    mkdirSync(join(cli.home, '.aws'), { recursive: true })
    const keys = '[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n'
    writeFileSync(join(cli.home, '.aws', 'credentials'), keys)
    return {
      AWS_PROFILE: 'default',
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/wrong',
      AWS_ACCESS_KEY_ID: 'AKIAWRONG',
    }
  }

  test.each([[[]], [['--env']]])('an AWS SDK in the child is the caller: %j', async (options) => {
    const ended = await cli.run(['exec', ...options, '--', process.execPath, program()], { env: hostile() })
    expect(ended).toMatchObject({ code: 0 })
    const { Arn, env } = json<{ Arn: string; env: Record<string, string> }>(ended)
    expect(Arn).toContain('assumed-role/')
    expect(env['AGENTKEYS_SESSION']).toBeUndefined()
    expect(env['AWS_PROFILE']).toBeUndefined()
    expect(env['AWS_ACCESS_KEY_ID']?.startsWith('ASIA')).toBe(options.length > 0 ? true : undefined)
  })

  test('the endpoint answers the child only: token, Host and Origin are checked', async () => {
    const probe = `
      import { request } from 'node:http'
      const url = new URL(process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI)
      const token = process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN
      const ask = (headers, method = 'GET') => new Promise((resolve) => {
        const call = request(url, { method, headers }, (reply) => { reply.resume(); resolve(reply.statusCode) })
        call.end()
      })
      process.stdout.write(JSON.stringify([
        await ask({ authorization: token }),
        await ask({}),
        await ask({ authorization: token + 'x' }),
        await ask({ authorization: token, host: 'evil.example.com' }),
        await ask({ authorization: token, host: 'localhost:' + url.port }),
        await ask({ authorization: token, origin: 'https://evil.example.com' }),
        await ask({ authorization: token }, 'POST'),
      ]))`
    const path = join(cli.home, 'probe.mjs')
    writeFileSync(path, probe)
    const ended = await cli.run(['exec', '--', process.execPath, path])
    expect(json(ended)).toEqual([200, 401, 401, 403, 403, 403, 405])
  })

  test.each([
    ['its exit code', 'process.exit(7)', 7],
    ['a signal, as a shell does', 'process.kill(process.pid, "SIGKILL")', 137],
  ])('%s is passed on', async (_, script, code) => {
    expect(await cli.run(['exec', '--', process.execPath, '-e', script])).toMatchObject({ code })
  })

  test('a command that is not there is exit 3, and names it', async () => {
    const { code, stderr } = await cli.run(['exec', '--', 'no-such-command'])
    expect([code, stderr]).toEqual([3, expect.stringContaining('no-such-command cannot be started (ENOENT)')])
  })

  test('SIGTERM reaches the child, which decides when to end', async () => {
    const script = `process.on('SIGTERM', () => process.exit(5)); setInterval(() => 0, 1000); process.stdout.write('up')`
    const { child, ended } = cli.start(['exec', '--', process.execPath, '-e', script])
    let seen = ''
    child.stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()))
    await until(
      () => seen === 'up',
      () => 'the child did not start',
    )
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 5 })
  })
})

describe('receipts', () => {
  test('each mint left one that verifies', async () => {
    const { receipts } = json<{ receipts: { mint_id: string }[] }>(
      await cli.run(['receipts', 'list', '--json']),
    )
    expect(receipts.length).toBeGreaterThan(0)
    const id = receipts[0]?.mint_id ?? ''
    expect((await cli.run(['receipts', 'show', id])).stdout).toContain(id)
    expect(await cli.run(['receipts', 'verify'])).toMatchObject({ code: 0 })
  })

  test('one that was altered is exit 1 and named', async () => {
    const { receipts } = json<{ receipts: { mint_id: string }[] }>(
      await cli.run(['receipts', 'list', '--json']),
    )
    const id = receipts[0]?.mint_id ?? ''
    const root = join(cli.home, '.agentkeys')
    const [name = ''] = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((one) =>
      one.includes(id),
    )
    const path = join(root, name)
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace(/index \d+/, 'index 0'))
    const { code, stdout } = await cli.run(['receipts', 'verify'])
    writeFileSync(path, text)
    expect([code, stdout]).toEqual([1, expect.stringContaining(id)])
  })
})

describe('doctor', () => {
  interface Report {
    findings: { level: string; what: string; remedy?: string }[]
  }
  const levels = ({ findings }: Report, level: string) =>
    findings.filter((one) => one.level === level).map(({ what }) => what)

  test('finds nothing wrong, and mints when it is asked to', async () => {
    const ended = await cli.run(['doctor', '--mint', '--json'])
    const report = json<Report>(ended)
    expect([ended.code, levels(report, 'failure')]).toEqual([0, []])
    expect(levels(report, 'ok').join()).toContain('AWS credentials were minted')
  })

  test('names what outranks our credentials, each with a remedy', async () => {
    const env = { AWS_PROFILE: 'x', AWS_ACCESS_KEY_ID: 'AKIA' }
    const report = json<Report>(await cli.run(['doctor', '--json'], { env }))
    expect(levels(report, 'warning').join()).toMatch(/AWS_PROFILE.*AWS_ACCESS_KEY_ID/)
    expect(report.findings.filter(({ level }) => level !== 'ok').every(({ remedy }) => remedy)).toBe(true)
  })

  test('a session that is not valid, and a broker that is not there, are failures', async () => {
    const invalid = await cli.run(['doctor', '--json'], { env: { AGENTKEYS_SESSION: 'f'.repeat(64) } })
    expect([invalid.code, levels(json(invalid), 'failure').join()]).toEqual([
      1,
      expect.stringContaining('session is not valid'),
    ])
    const gone = await cli.run(['doctor', '--json', '--broker-url', 'http://127.0.0.1:1'])
    expect([gone.code, levels(json(gone), 'failure')[0]]).toEqual([
      1,
      expect.stringContaining('cannot be reached'),
    ])
  })
})

test('config aws prints a profile that an AWS SDK uses by itself', async () => {
  const { stdout } = await cli.run(['config', 'aws', '--region', 'us-east-1'])
  mkdirSync(join(cli.home, '.aws'), { recursive: true })
  writeFileSync(join(cli.home, '.aws', 'config'), stdout)
  const env = {
    PATH: process.env['PATH'],
    HOME: cli.home,
    AWS_PROFILE: 'agentkeys',
    AWS_ENDPOINT_URL_STS: world.aws.url,
  }
  const { stdout: answer } = await promisify(execFile)(process.execPath, [program()], { env })
  expect((JSON.parse(answer) as { Arn: string }).Arn).toContain('assumed-role/')
})
