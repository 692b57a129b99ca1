// The commands that work with the session backend: wallet login, stored secrets, agents, names, mail, provisioning.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type CliOptions, type Ended } from '../support/cli.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const SECRET = 'sk-or-v1-0123456789abcdef'

let world: BrokerWithAws
let alice: Cli
let bob: Cli
beforeAll(async () => {
  world = await startBrokerWithAws()
  const env = { AGENTKEYS_BROKER_URL: world.broker.url, AGENTKEYS_BACKEND_URL: world.broker.sessionUrl }
  ;[alice, bob] = [new Cli(env), new Cli(env)]
  for (const cli of [alice, bob]) expect(await cli.run(['init'])).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  for (const cli of [alice, bob]) cli.dispose()
  await world.dispose()
})

const json = <T>({ stdout }: Ended) => JSON.parse(stdout) as T
const run = (line: string, options?: CliOptions) => alice.run(line.split(' '), options)

/** A session as the backend gives it, for what the command line has no word for. */
async function ask<T>(
  path: string,
  session: string,
  body?: object,
  method = body ? 'POST' : 'GET',
): Promise<T> {
  const headers = { authorization: `Bearer ${session}`, 'content-type': 'application/json' }
  const reply = await fetch(world.broker.sessionUrl + path, {
    method,
    headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return (await reply.json()) as T
}

const tokenOf = ({ home }: Cli): string => {
  const folder = `http_127.0.0.1_3a${new URL(world.broker.url).port}`
  const path = join(home, '.agentkeys', 'brokers', folder, 'sessions', 'master.json')
  return (JSON.parse(readFileSync(path, 'utf8')) as { token: string }).token
}

describe('wallet login', () => {
  test('init makes a wallet, signs in with it, and signs in as the same wallet again', async () => {
    const first = json<{ wallet: string }>(await run('whoami --json'))
    expect(first.wallet).toMatch(/^0x[0-9a-f]{40}$/)
    expect(json<{ wallet: string }>(await run('init --json')).wallet).toBe(first.wallet)
    expect(json<{ wallet: string }>(await bob.run(['whoami', '--json'])).wallet).not.toBe(first.wallet)
  })

  test('a key that is given is the wallet: the one that viem and every wallet derives', async () => {
    const key = '07'.repeat(32)
    const ended = await run('init --json --session-id given --wallet-key-file -', { input: key })
    expect(json<{ wallet: string }>(ended).wallet).toBe('0x4a62316623ad457f02cdc5d997ded67a383ec569')
    expect(await run('init --session-id given --wallet-key-file -', { input: 'no key' })).toMatchObject({
      code: 1,
    })
    // The key of before is the wallet of this home again.
    await run('init')
  })

  test('an answer that is replayed, or that another wallet signed, is refused', async () => {
    const start = await ask<{ request_id: string }>('/v1/auth/wallet/start', '', {
      address: '0x4a62316623ad457f02cdc5d997ded67a383ec569',
      chain_id: 1,
    })
    const answer = { request_id: start.request_id, signature: `0x${'1'.repeat(128)}1b` }
    for (let times = 0; times < 2; times += 1)
      expect(await ask('/v1/auth/wallet/verify', '', answer)).toMatchObject({ code: 'UNAUTHORIZED' })
  })
})

describe('stored secrets', () => {
  test('what is stored is read back, listed and injected, and the backend has only ciphertext', async () => {
    expect(await run('store openrouter', { input: `${SECRET}\n` })).toMatchObject({ code: 0 })
    expect((await run('read openrouter')).stdout).toBe(SECRET)
    expect((await run('list')).stdout).toBe('openrouter\n')
    const print = 'process.stdout.write(process.env.OPENROUTER_API_KEY + process.env.KEY)'
    const line = [
      'run',
      '--env',
      'KEY=openrouter',
      '--env',
      'OPENROUTER_API_KEY=openrouter',
      '--',
      process.execPath,
    ]
    expect((await alice.run([...line, '-e', print])).stdout).toBe(SECRET + SECRET)
    const file = new Sqlite(join(world.broker.dataDir, 'sessions.sqlite'), { readonly: true })
    const stored = file.prepare('SELECT ciphertext FROM credential').pluck().all() as string[]
    file.close()
    expect(stored.length).toBe(1)
    expect(Buffer.from(stored[0] ?? '', 'base64').toString('latin1')).not.toContain('sk-or')
  })

  test('a secret on the command line is refused, and is not printed', async () => {
    const { code, stderr } = await alice.run(['store', 'x', SECRET])
    expect([code, stderr.includes(SECRET)]).toEqual([2, false])
  })

  test('another wallet cannot read, list or overwrite them, and what was tried is in the usage', async () => {
    const { wallet } = json<{ wallet: string }>(await run('whoami --json'))
    for (const line of [['read', 'openrouter'], ['list'], ['store', 'openrouter']]) {
      const ended = await bob.run([...line, '--agent', wallet], { input: 'other' })
      expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining('neither yours')])
    }
    expect((await run('read openrouter')).stdout).toBe(SECRET)
    const events = json<{ action: string; result: string }[]>(await run('usage --json'))
    expect(events).toEqual(
      expect.arrayContaining([expect.objectContaining({ action: 'read', result: 'allowed' })]),
    )
  })

  test('one that is not there is exit 1', async () => {
    expect(await run('read nothing')).toMatchObject({ code: 1 })
  })
})

describe('agents', () => {
  test('a child uses what is in its scope, and its parent widens, narrows and ends it', async () => {
    const child = await ask<{ session: string; wallet: string }>('/session/child', tokenOf(alice), {
      scope: { services: ['openrouter'], read_only: false },
    })
    expect((await run(`scope ${child.wallet} --add mail --json`)).stdout).toContain('"mail"')
    expect((await run(`scope ${child.wallet} --remove mail --list`)).code).toBe(2)
    expect((await run(`link ${child.wallet} --alias worker`)).code).toBe(0)
    expect((await bob.run(['link', child.wallet, '--alias', 'mine'])).code).toBe(1)
    expect((await run('store openrouter --agent worker', { input: 'k' })).code).toBe(0)
    const asChild = { env: { AGENTKEYS_SESSION: child.session } }
    expect((await run('list', asChild)).stdout).toBe('openrouter\n')
    expect((await run('store other', { ...asChild, input: 'k' })).stderr).toContain('not in the scope')
    expect((await run(`scope ${child.wallet} --set openrouter`, asChild)).code).toBe(1)
    expect((await run(`teardown worker`)).code).toBe(0)
    expect((await run('list', asChild)).stderr).toContain('revoked')
  })

  test('a name is one wallet only', async () => {
    const { wallet } = json<{ wallet: string }>(await bob.run(['whoami', '--json']))
    expect((await bob.run(['link', wallet, '--alias', 'worker'])).stderr).toContain('another wallet')
  })
})

test('mail to an inbox is read by its owner only, and an address that no one has is refused', async () => {
  const { address } = json<{ address: string }>(await run('inbox provision --json'))
  const mail = { address, from: 'noreply@example.com', subject: 'code', body: '123456' }
  await ask('/mock/inbox/deliver', '', mail)
  expect((await run(`inbox read ${address} --json`)).stdout).toContain('123456')
  expect((await run('inbox list')).stdout).toContain(address)
  expect((await bob.run(['inbox', 'read', address])).code).toBe(1)
  expect(await ask('/mock/inbox/deliver', '', { ...mail, address: 'bot@example.com' })).toMatchObject({
    code: 'NOT_FOUND',
  })
})

describe('provision', () => {
  test('runs the scraper, stores its key, and gives it back', async () => {
    const ended = await run('provision echo-service')
    expect([ended.code, ended.stdout]).toEqual([
      0,
      expect.stringMatching(/^echo-[0-9a-f]{3}\*{4}\.{3}[0-9a-f]{4}\n$/),
    ])
    const key = (await run('read echo-service')).stdout
    expect(key).toMatch(/^echo-[0-9a-f]{32}$/)
    expect((await run('provision echo-service')).stdout.slice(0, 8)).toBe(key.slice(0, 8))
    expect((await run('provision echo-service --force')).stdout.slice(0, 8)).not.toBe(key.slice(0, 8))
  })

  test.each([
    ['selector_timeout', 'Problem: provisioning stopped'],
    ['email_timeout', 'Cause: no mail arrived in time'],
    ['nonsense', 'Cause: it printed a line that is no event'],
  ])('a scraper that reports %s is exit 1 in four lines', async (kind, text) => {
    const { code, stderr } = await run('provision echo-service --force', { env: { ECHO_SERVICE_FAIL: kind } })
    expect([code, stderr]).toEqual([1, expect.stringContaining(text)])
  })

  test('a service that has no scraper is exit 1, and says how to add one', async () => {
    expect((await run('provision no-such')).stderr).toContain('scrapers.json')
  })
})

test('revoke ends the session, and removes the local copy', async () => {
  expect(await bob.run(['revoke'])).toMatchObject({ code: 0 })
  expect((await bob.run(['whoami'])).stderr).toContain('there is no session')
})
