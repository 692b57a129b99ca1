// One session backend on its own, for two brokers that share a ledger.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { Cli } from '../support/cli.js'
import { SessionBackendProcess } from '../support/session-backend-process.js'
import { SharedBrokers } from '../support/shared-brokers.js'
import { runSubcommand } from '../support/subcommand.js'
import { until } from '../support/until.js'

let backend: SessionBackendProcess
let shared: SharedBrokers
let cli: Cli
beforeAll(async () => {
  ;[backend, shared] = await Promise.all([SessionBackendProcess.start(), SharedBrokers.open()])
  for (let brokers = 0; brokers < 2; brokers += 1)
    await shared.add({ more: { BROKER_BACKEND_URL: backend.url } })
  cli = new Cli({ AGENTKEYS_BROKER_URL: shared.brokers[0]?.url ?? '', AGENTKEYS_BACKEND_URL: backend.url })
})
afterAll(async () => {
  await shared.verified()
  cli.dispose()
  await shared.dispose()
  await backend.dispose()
})

async function signIn(): Promise<string> {
  const { code, stderr } = await cli.run(['init'])
  expect([code, stderr]).toEqual([0, expect.anything()])
  const folder = `http_127.0.0.1_3a${new URL(shared.brokers[0]?.url ?? '').port}`
  const path = join(cli.home, '.agentkeys', 'brokers', folder, 'sessions', 'master.json')
  return (JSON.parse(readFileSync(path, 'utf8')) as { token: string }).token
}

const mintedAtBoth = async (session: string) => {
  const replies = await Promise.all(
    shared.brokers.map((broker) => broker.post('/v1/mint-oidc-jwt', session, {})),
  )
  return replies.map(({ status }) => status)
}

const readyBoth = async () =>
  Promise.all(shared.brokers.map(async (broker) => (await broker.get('/readyz')).status))

test('a session is good at both brokers, and ends at both', async () => {
  const session = await signIn()
  expect(await mintedAtBoth(session)).toEqual([200, 200])
  expect(await cli.run(['revoke'])).toMatchObject({ code: 0 })
  expect(await mintedAtBoth(session)).toEqual([401, 401])
})

test('while it is down both brokers say so, and its sessions outlive a SIGKILL', async () => {
  const session = await signIn()
  await backend.stop('SIGKILL')
  await until(
    async () => (await readyBoth()).every((status) => status === 503),
    () => 'a broker without its session backend says it is ready',
  )
  expect(await mintedAtBoth(session)).toEqual([502, 502])
  backend = await backend.restart()
  await until(
    async () => (await readyBoth()).every((status) => status === 200),
    () => 'a broker does not find its session backend again',
  )
  expect(await mintedAtBoth(session)).toEqual([200, 200])
})

test('a second one on the same sessions is refused, and so is a wrong setting', async () => {
  const env = { BROKER_DATA_DIR: backend.dataDir, BROKER_SESSION_BIND: '127.0.0.1:0' }
  const second = await runSubcommand(['session-backend'], env)
  expect([second.code, second.err]).toEqual([1, expect.stringContaining('another broker is running on it')])
  const open = await runSubcommand(['session-backend'], { ...env, BROKER_SESSION_BIND: '0.0.0.0:0' })
  expect([open.code, open.err]).toEqual([1, expect.stringContaining('BROKER_SESSION_URL')])
})

test('it answers /healthz, and stops when asked', async () => {
  expect(await (await fetch(`${backend.url}/healthz`)).text()).toBe('ok')
  expect(await backend.stop()).toBe(0)
  backend = await backend.restart()
})
