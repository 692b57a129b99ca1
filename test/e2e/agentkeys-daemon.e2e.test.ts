// The daemon against a broker and the local AWS, asked by curl, by the command line and by SDKs.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type Started } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
let cli: Cli
let running: Started[] = []
beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url, AGENTKEYS_BACKEND_URL: world.broker.sessionUrl })
  for (const [id, token] of Object.entries({ master: 'alice', bob: 'bob' }))
    await cli.run(['init', '--session-id', id, '--auth-token', '-'], { input: token })
})
afterEach(async () => {
  for (const { child, ended } of running) {
    child.kill('SIGTERM')
    await ended
  }
  running = []
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  cli.dispose()
  await world.dispose()
})

const socket = (name = 'agent') => join(cli.home, '.agentkeys', 'run', `${name}.sock`)

interface Daemon extends Started {
  log(): string
}

async function start(...args: string[]): Promise<Daemon> {
  const started = cli.daemon(args)
  running.push(started)
  let log = ''
  started.child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const lines = 1 + args.filter((arg) => arg === '--socket-for' || arg === '--endpoint').length
  await until(
    () => log.split('serving').length > lines || started.child.exitCode !== null,
    () => `the daemon does not serve: ${log}`,
  )
  return { ...started, log: () => log }
}

async function curl(path: string, name?: string): Promise<Record<string, string>> {
  const args = ['-sS', '--unix-socket', socket(name), `http://localhost${path}`]
  const { stdout } = await promisify(execFile)('curl', args)
  return JSON.parse(stdout) as Record<string, string>
}

const mints = async () => (await verifiedLedger(world.broker.dataDir)).of('CredsMinted').length

test('two hundred callers at once cause one mint, and all get the same credentials', async () => {
  await start()
  const before = await mints()
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      const call = request({ socketPath: socket(), path: '/aws/credentials', agent: false }, (reply) => {
        let text = ''
        reply.on('data', (chunk: Buffer) => (text += chunk.toString()))
        reply.on('end', () => resolve(text))
      })
      call.on('error', reject)
      call.end()
    })
  const answers = await Promise.all(Array.from({ length: 200 }, ask))
  expect(new Set(answers).size).toBe(1)
  expect(Object.keys(JSON.parse(answers[0] ?? '') as object)).toEqual([
    'AccessKeyId',
    'SecretAccessKey',
    'Token',
    'Expiration',
    'AccountId',
    'RoleArn',
  ])
  expect((await mints()) - before).toBe(1)
})

test('curl gets what credential_process prints, and a token', async () => {
  await start()
  expect(await curl('/aws/process-credentials')).toMatchObject({ Version: 1, AccountId: '111122223333' })
  expect((await curl('/token?ttl=120'))['jwt']).toMatch(/^[\w-]+\.[\w-]+\.[\w-]{86}$/)
})

test('the command line asks the daemon, and mints nothing of its own', async () => {
  await start()
  const { AccessKeyId } = await curl('/aws/process-credentials')
  const { stdout } = await cli.run(['credential-process'])
  expect(JSON.parse(stdout)).toMatchObject({ AccessKeyId })
  const other = await cli.run(['credential-process', '--session-id', 'bob'])
  expect(JSON.parse(other.stdout)).not.toMatchObject({ AccessKeyId })
})

test('a socket that is bound to a session serves that wallet', async () => {
  await start('--socket-for', 'bob')
  const [own, bob] = [await curl('/token'), await curl('/token', 'bob')]
  expect(own['wallet']).toMatch(/^0x/)
  expect(bob['wallet']).not.toBe(own['wallet'])
})

test('the socket can be opened by its owner only, and goes when the daemon is stopped', async () => {
  const { child, ended } = await start()
  expect([statSync(socket()).mode & 0o777, statSync(dirname(socket())).mode & 0o777]).toEqual([0o600, 0o700])
  child.kill('SIGTERM')
  expect(await ended).toMatchObject({ code: 0 })
  expect(existsSync(socket())).toBe(false)
})

test('a second daemon is refused; after a SIGKILL the next one takes over the socket', async () => {
  const first = await start()
  const second = await cli.daemon([]).ended
  expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('another daemon serves')])
  first.child.kill('SIGKILL')
  await first.ended
  await start()
  expect(await curl('/healthz')).toMatchObject({ ok: true })
})

test('the endpoint keeps its port and token over a restart, and refuses what is not its SDKs', async () => {
  const first = await start('--endpoint')
  const url = /http:\/\/127\.0\.0\.1:\d+\/credentials/.exec(first.log())?.[0] ?? ''
  const folder = join(cli.home, '.agentkeys', 'brokers')
  const { stdout } = await promisify(execFile)('find', [folder, '-name', 'endpoint-*.json'])
  const { token } = JSON.parse(readFileSync(stdout.trim(), 'utf8')) as { token: string }
  const status = async (headers: Record<string, string>) => (await fetch(url, { headers })).status
  expect([
    await status({ authorization: token }),
    await status({}),
    await status({ authorization: token, origin: 'https://evil.example.com' }),
  ]).toEqual([200, 401, 403])
  first.child.kill('SIGKILL')
  await first.ended
  const again = await start('--endpoint')
  expect(again.log()).toContain(url)
  expect(await status({ authorization: token })).toBe(200)
})

test('what it cannot give is an error with Code and Message, and never an empty answer', async () => {
  await start()
  const { Code, Message } = await curl('/aws/credentials?role=arn:aws:iam::111122223333:role/other')
  expect([Code, Message]).toEqual(['AgentKeysRefused', expect.stringContaining('ask the operator')])
  expect(await curl('/aws/credentials?duration=x')).toMatchObject({ Code: 'AgentKeysRefused' })
  expect(await curl('/no-such')).toMatchObject({ Code: 'AgentKeysNotFound' })
})

test('without a session it says which command to run, and does not start', async () => {
  const { code, stderr } = await cli.daemon(['--session-id', 'none']).ended
  expect([code, stderr]).toEqual([1, expect.stringContaining('agentkeys init')])
})
