// exec --ephemeral: the command is a child session, which does not outlive it.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
let cli: Cli
let own: string
beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url })
  const { stdout } = await cli.run(['init', '--json'])
  own = (JSON.parse(stdout) as { wallet: string }).wallet
})
afterAll(async () => {
  const mints = (await verifiedLedger(world.broker.dataDir)).of('CredsMinted')
  expect(mints.length).toBeGreaterThan(0)
  expect(mints.map(({ data }) => data.wallet)).not.toContain(own)
  cli.dispose()
  await world.dispose()
})

/** How many child sessions there were, and how many of them are good. */
function children(): { all: number; live: number } {
  const file = new Sqlite(join(world.broker.dataDir, 'sessions.sqlite'), { readonly: true })
  try {
    const query =
      'SELECT count(*) AS "all", count(*) - count(revoked_at) AS live FROM session WHERE parent_sha256 IS NOT NULL'
    return file.prepare(query).get() as { all: number; live: number }
  } finally {
    file.close()
  }
}

const exec = (script: string) => ['exec', '--ephemeral', '--', process.execPath, '-e', script]

const FETCH = `
  const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: authorization } = process.env
  fetch(url, { headers: { authorization } }).then((reply) => reply.json()).then(({ Expiration }) => {
    process.stdout.write(String(Date.parse(Expiration) - Date.now() <= 900_000))
`

test('its session is revoked when it ends, nothing of it is left on disk, and its exit code is passed on', async () => {
  const ended = await cli.run(exec(`${FETCH}; process.exit(7) })`))
  expect(ended).toMatchObject({ code: 7, stdout: 'true', stderr: expect.not.stringContaining('revoked') })
  expect(children()).toEqual({ all: 1, live: 0 })
  const names = readdirSync(join(cli.home, '.agentkeys'), { recursive: true, encoding: 'utf8' })
  expect(names.filter((name) => /\/cache\/./.test(name))).toEqual([])
})

/** A SIGKILL of exec leaves its command running. */
const UNTIL_ORPHANED = `
  const parent = process.ppid
  setInterval(() => process.ppid === parent || process.exit(), 50)
  process.stdout.write('up')
`

test.each([['SIGTERM'], ['SIGKILL']] as const)('%s of exec revokes it too', async (signal) => {
  const { child, ended } = cli.start(exec(UNTIL_ORPHANED))
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  await until(
    () => seen === 'up',
    () => 'the command did not start',
  )
  expect(children().live).toBe(1)
  child.kill(signal)
  await until(
    () => children().live === 0,
    () => 'the session was not revoked',
  )
  await ended
})

test('a command that cannot be started leaves no session', async () => {
  expect((await cli.run(['exec', '--ephemeral', '--', 'no-such-command'])).code).toBe(3)
  expect(children().live).toBe(0)
})
