// AWS's own programs get credentials in each of our ways, and are the caller's wallet to AWS, with older keys in sight.

import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { WALLET_TAG } from '../../src/domain/mint.js'
import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { awsClients, nodeProgram, redirectSts } from '../support/aws-clients.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { AGENTKEYS, Cli, type Started } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const HOSTILE = '[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n'
const IDS = ['master', 'other'] as const

const cli = new Cli({})
const { found, missing } = awsClients(cli.home)

let world: BrokerWithAws
let daemon: Started
const wallets: Record<string, string> = {}

beforeAll(async () => {
  world = await startBrokerWithAws()
  redirectSts(cli.home, world.aws.url)
  for (const file of ['config', 'credentials']) writeFileSync(join(cli.home, '.aws', file), HOSTILE)
  for (const id of IDS) {
    const { stdout } = await agentkeys(['init', '--json', '--session-id', id, '--auth-token', '-'], id)
    wallets[id] = (JSON.parse(stdout) as { wallet: string }).wallet
  }
  daemon = cli.daemon(['--socket-for', 'other'], { env: variables() })
  let log = ''
  daemon.child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
  await until(
    () => log.split('serving session').length > IDS.length,
    () => `the daemon does not serve: ${log}`,
  )
})
afterAll(async () => {
  daemon.child.kill('SIGTERM')
  await daemon.ended
  await verifiedLedger(world.broker.dataDir)
  for (const { line } of found) if (line[1]?.endsWith('.mjs')) rmSync(dirname(line[1]), { recursive: true })
  cli.dispose()
  await world.dispose()
})

/** No AWS key anywhere. Older variables than ours lie in wait; AWS_PROFILE names what is to be used, or hostile keys. */
const variables = (profile = 'default'): Record<string, string> => ({
  AGENTKEYS_BROKER_URL: world.broker.url,
  AGENTKEYS_BACKEND_URL: world.broker.sessionUrl,
  AWS_ENDPOINT_URL_STS: world.aws.url,
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_PROFILE: profile,
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/wrong',
})

async function agentkeys(args: string[], input = '') {
  const ended = await cli.run(args, { env: variables(), input })
  if (ended.code !== 0) throw new Error(`agentkeys ${args.join(' ')}: ${ended.stderr}`)
  return ended
}

/** Whose wallet AWS saw in the call that `line` made. */
async function walletSeen(line: readonly string[], env: Record<string, string>): Promise<string | undefined> {
  const before = world.aws.calls.length
  const [command = '', ...args] = line
  const { stdout } = await promisify(execFile)(command, args, {
    env: { PATH: process.env['PATH'], HOME: cli.home, ...env },
  })
  const call = world.aws.calls.slice(before).find(({ action }) => action === 'GetCallerIdentity')
  const session = world.aws.session(call?.accessKeyId ?? '')
  expect(stdout.trim()).toBe(session?.arn)
  return session?.principalTags.get(WALLET_TAG)
}

/** A way to the credentials of a session: what stands before the command, and its environment. */
interface Way {
  before?: string[]
  env: Record<string, string>
}

let profiles = 0

/** AWS_PROFILE names our profile; the hostile default one stands beside it. */
function byProfile(text: string): Way {
  const path = join(cli.home, `aws-config-${++profiles}`)
  writeFileSync(path, `${HOSTILE}\n${text}`)
  return { env: { ...variables('agentkeys'), AWS_CONFIG_FILE: path } }
}

const curlProfile = (socket: string) =>
  `[profile agentkeys]\ncredential_process = curl -sS --unix-socket ${socket} http://localhost/aws/process-credentials\n`

async function tokenFile(id: string): Promise<string> {
  const path = join(cli.home, `${id}.jwt`)
  await agentkeys(['token', '--for', 'aws', '--session-id', id, '--write', path])
  return path
}

const WAYS: Record<string, (id: string) => Promise<Way> | Way> = {
  exec: (id) => ({
    before: [process.execPath, AGENTKEYS, 'exec', '--session-id', id, '--'],
    env: variables(),
  }),
  'credential-process': async (id) =>
    byProfile((await agentkeys(['config', 'aws', '--session-id', id])).stdout),
  "the daemon's socket, by curl": (id) => {
    const name = id === 'master' ? 'agent' : id
    return byProfile(curlProfile(join(cli.home, '.agentkeys', 'run', `${name}.sock`)))
  },
  'a token file, by profile': async (id) => {
    const args = ['config', 'aws', '--session-id', id, '--role', DATA_ROLE_ARN]
    return byProfile((await agentkeys([...args, '--token-file', await tokenFile(id)])).stdout)
  },
  'a token file, by variables': async (id) => {
    const { AWS_PROFILE: _, ...env } = variables()
    return {
      env: {
        ...env,
        // In the SDK for JavaScript a default profile outranks a token file.
        AWS_CONFIG_FILE: '/dev/null',
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
        AWS_WEB_IDENTITY_TOKEN_FILE: await tokenFile(id),
        AWS_ROLE_ARN: DATA_ROLE_ARN,
        AWS_ROLE_SESSION_NAME: `ak-${wallets[id]}`,
      },
    }
  },
}

describe.each(found)('$name', ({ line }) => {
  test.each(Object.entries(WAYS))(
    'two wallets with one HOME and one role are each their own: %s',
    async (_, way) => {
      for (const id of IDS) {
        const { before = [], env } = await way(id)
        expect([id, await walletSeen([...before, ...line], env)]).toEqual([id, wallets[id]])
      }
    },
  )
})

// CI installs them all; elsewhere the report names what was not tried.
for (const name of missing) test.skip(`not installed: ${name}`, () => undefined)

const PROVIDER = `
import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { fromAgentKeys } from 'agentkeys-broker/client'
const { BROKER: url, SESSION: session, VKEY: ledgerVkey } = process.env
const credentials = fromAgentKeys({ url, session, ledgerVkey })
const { Arn } = await new STSClient({ credentials }).send(new GetCallerIdentityCommand())
console.log(Arn)
`

test('fromAgentKeys() gives a program its own wallet', async () => {
  const program = nodeProgram('provider', PROVIDER)
  const { session, wallet } = await world.broker.session('program')
  const vkey = (await (await fetch(`${world.broker.url}/ledger/vkey`)).text()).trim()
  const env = { ...variables(), BROKER: world.broker.url, SESSION: session, VKEY: vkey }
  expect(await walletSeen([process.execPath, program], env)).toBe(wallet)
  rmSync(dirname(program), { recursive: true })
})
