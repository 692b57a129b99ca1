// Who else can reach a wallet's endpoint, socket, files and secrets on the same machine: its own user alone.

import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type Started } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const IDS = ['alice', 'bob'] as const
type Id = (typeof IDS)[number]

interface Running extends Started {
  url: string
  token: string
  pid: number
}

let world: BrokerWithAws
let cli: Cli
let daemon: Started
const children = {} as Record<Id, Running>

/** Says where its endpoint is, and stays until its stdin is closed. */
const CHILD = `
  const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: token } = process.env
  console.log(JSON.stringify({ url, token, pid: process.pid }))
  process.stdin.resume()
`

beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url, AGENTKEYS_BACKEND_URL: world.broker.sessionUrl })
  for (const id of IDS)
    expect(await cli.run(['init', '--session-id', id, '--auth-token', '-'], { input: id })).toMatchObject({
      code: 0,
    })
  daemon = cli.daemon(['--session-id', 'alice', '--socket-for', 'bob', '--endpoint'])
  let log = ''
  daemon.child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
  await until(
    () => log.split('serving').length > 3,
    () => `the daemon does not serve: ${log}`,
  )
  for (const id of IDS) children[id] = await started(id)
})
afterAll(async () => {
  for (const { child, ended } of Object.values(children)) {
    child.stdin?.end()
    await ended
  }
  daemon.child.kill('SIGTERM')
  await daemon.ended
  await verifiedLedger(world.broker.dataDir)
  cli.dispose()
  await world.dispose()
})

async function started(id: Id): Promise<Running> {
  const args = ['exec', '--session-id', id, '--', process.execPath, '-e', CHILD]
  const one = cli.start(args, { keepOpen: true })
  const lines = createInterface({ input: one.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  const { value } = (await lines.next()) as { value: string }
  return { ...one, ...(JSON.parse(value) as Pick<Running, 'url' | 'token' | 'pid'>) }
}

const socket = (name: string) => join(cli.home, '.agentkeys', 'run', `${name}.sock`)
const keys = async (id: Id, authorization = children[id].token) =>
  fetch(children[id].url, { headers: { authorization } })

test("the token of one wallet's endpoint does not open the other's, and their keys differ", async () => {
  const [alice, bob] = await Promise.all(IDS.map((id) => keys(id)))
  expect([alice?.status, bob?.status]).toEqual([200, 200])
  const [a, b] = (await Promise.all([alice?.json(), bob?.json()])) as { AccessKeyId: string }[]
  expect(a?.AccessKeyId).not.toBe(b?.AccessKeyId)
  expect((await keys('alice', children.bob.token)).status).toBe(401)
  expect((await keys('bob', children.alice.token)).status).toBe(401)
})

/** Opens every file and socket under argv[1], and says what it got. */
const INTRUDER = `
  const { connect } = require('node:net')
  const { readFileSync } = require('node:fs')
  const tell = (path, got) => console.log(JSON.stringify([path, got]))
  for (const path of process.argv.slice(1))
    if (path.endsWith('.sock'))
      connect(path).on('connect', function () { tell(path, 'connected'); this.destroy() })
        .on('error', ({ code }) => tell(path, code))
    else
      try { readFileSync(path); tell(path, 'read') } catch ({ code }) { tell(path, code) }
`

function everything(): string[] {
  const root = join(cli.home, '.agentkeys')
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => join(root, name))
    .filter((path) => !statSync(path).isDirectory())
}

function intrude(paths: string[], uid: number): (string | undefined)[] {
  const { stdout } = spawnSync(process.execPath, ['-e', INTRUDER, ...paths], {
    uid,
    gid: uid,
    cwd: '/',
    encoding: 'utf8',
  })
  return stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as string[])[1])
}

const isRoot = process.getuid?.() === 0
const OTHER_USER = 65_534

if (isRoot)
  test('another user of the machine can open no socket and read no file, though the home is open to all', () => {
    chmodSync(cli.home, 0o755)
    const paths = everything()
    for (const name of ['agent', 'bob']) expect(paths).toContain(socket(name))
    expect(paths.filter((path) => /session|cache|receipts|endpoint/.test(path)).length).toBeGreaterThan(5)
    expect(new Set(intrude(paths, 0))).toEqual(new Set(['connected', 'read']))
    expect(new Set(intrude(paths, OTHER_USER))).toEqual(new Set(['EACCES']))
  })
else test.skip('another user of the machine: only root can be one', () => undefined)

test('everything that is kept is for its owner only, sockets and locks too', () => {
  expect(everything().map((path) => [path, statSync(path).mode & 0o777])).toEqual(
    everything().map((path) => [path, 0o600]),
  )
})

test('Host and Origin of a web page are refused by endpoint and socket', async () => {
  const { url, token: authorization } = children.alice
  const status = (headers: Record<string, string>, to: object) =>
    new Promise<number | undefined>((resolve, reject) => {
      const call = request({ ...to, headers }, (reply) => resolve((reply.resume(), reply.statusCode)))
      call.on('error', reject)
      call.end()
    })
  const { hostname, port, pathname: path } = new URL(url)
  const endpoint = { hostname, port, path }
  expect([
    await status({ authorization }, endpoint),
    await status({ authorization, host: 'evil.example.com' }, endpoint),
    await status({ authorization, origin: 'http://evil.example.com' }, endpoint),
    await status({ origin: 'http://evil.example.com' }, { socketPath: socket('bob'), path: '/token' }),
  ]).toEqual([200, 403, 403, 403])
})

/** The argument lists of every process of this machine, as any user sees them. */
function processList(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
      } catch {
        return ''
      }
    })
    .join('\n')
}

test('no secret is in the process list, and the session is not in the environment of a child', async () => {
  const tokensIn = (kind: RegExp) =>
    everything()
      .filter((path) => kind.test(path))
      .map((path) => (JSON.parse(readFileSync(path, 'utf8')) as { token: string }).token)
  const sessions = tokensIn(/\/sessions\/\w+\.json$/)
  const secrets = [...sessions, ...tokensIn(/\/endpoint-alice\.json$/)]
  const { SecretAccessKey, Token } = (await (await keys('bob')).json()) as Record<string, string>
  secrets.push(children.alice.token, children.bob.token, SecretAccessKey ?? '', Token ?? '')
  expect(secrets.length).toBe(7)
  expect(secrets.every((secret) => secret.length >= 32)).toBe(true)
  const list = processList()
  // Of the children that run here, so that this is known to look in the right place.
  expect(list).toContain('--session-id\0bob')
  expect(secrets.filter((secret) => list.includes(secret))).toEqual([])
  const environment = readFileSync(`/proc/${children.bob.pid}/environ`, 'latin1')
  expect(environment).toContain(children.bob.token)
  expect(sessions.filter((session) => environment.includes(session))).toEqual([])
})

const hasNamespaces = spawnSync('unshare', ['--net', 'true']).status === 0

if (hasNamespaces)
  test("a sandbox without any network gets a wallet's credentials from its socket alone", async () => {
    const inside = (...line: string[]) => promisify(execFile)('unshare', ['--net', ...line])
    await expect(inside('curl', '-sS', children.bob.url)).rejects.toThrow('connect')
    const { stdout } = await inside(
      'curl',
      '-sS',
      '--unix-socket',
      socket('bob'),
      'http://localhost/aws/process-credentials',
    )
    expect(JSON.parse(stdout)).toMatchObject({ Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/) })
  })
else test.skip('a sandbox without network: unshare --net is not permitted here', () => undefined)
