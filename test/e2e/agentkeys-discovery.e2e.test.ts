// One variable is enough: a client learns everything else from the broker, and keeps brokers apart.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import { BrokerProcess } from '../support/broker-process.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type Ended } from '../support/cli.js'
import { VKEY } from '../support/ledger-builder.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
let other: BrokerProcess
let cli: Cli
beforeAll(async () => {
  const env = { BROKER_DATA_BUCKET: 'agentkeys-data', BROKER_MAIL_DOMAIN: 'mail.example.com' }
  ;[world, other] = await Promise.all([startBrokerWithAws({ env }), BrokerProcess.start()])
  cli = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url })
})
afterAll(async () => {
  for (const { dataDir } of [world.broker, other]) await verifiedLedger(dataDir)
  cli.dispose()
  await Promise.all([world.dispose(), other.dispose()])
})

const json = <T>({ stdout }: Ended) => JSON.parse(stdout) as T
const at = ({ url }: BrokerProcess) => ({ env: { AGENTKEYS_BROKER_URL: url } })

test('the broker describes itself to anyone, and gives no secret', async () => {
  const { body, headers } = await world.broker.get<Record<string, unknown>>('/.well-known/agentkeys')
  const vkey = await (await fetch(`${world.broker.url}/ledger/vkey`)).text()
  expect(body).toEqual({
    issuer: world.broker.url,
    session_backend: world.broker.sessionUrl,
    region: 'us-east-1',
    roles: [DATA_ROLE_ARN],
    bucket: 'agentkeys-data',
    mail_domain: 'mail.example.com',
    ledger: { origin: expect.stringContaining('/ledger'), vkey: vkey.trim() },
  })
  expect(headers.get('cache-control')).toBe('public, max-age=300')
})

test('from the URL alone a wallet signs in, mints, and gets an AWS profile with region and role', async () => {
  const init = await cli.run(['init'])
  expect([init.code, init.stderr]).toEqual([0, expect.stringContaining('new broker')])
  const token = join(cli.home, 'token.jwt')
  const profile = (await cli.run(['config', 'aws', '--token-file', token])).stdout
  expect(profile).toContain(
    `region = us-east-1\nweb_identity_token_file = ${token}\nrole_arn = ${DATA_ROLE_ARN}\n`,
  )
  expect((await cli.run(['config', 'aws', '--region', 'eu-west-1'])).stdout).toContain('region = eu-west-1\n')
  expect(await cli.run(['credential-process'])).toMatchObject({ code: 0 })
  const { address } = json<{ address: string }>(await cli.run(['inbox', 'provision', '--json']))
  expect(address).toMatch(/@mail\.example\.com$/)
})

test('what is named by a flag or a variable beats it', async () => {
  const { code, stderr } = await cli.run(['init', '--session-id', 'x', '--backend', 'http://127.0.0.1:1'])
  expect([code, stderr]).toEqual([3, expect.stringContaining('127.0.0.1:1 cannot be reached')])
})

test('another URL is another broker: its own session and pin, and the one of before stays', async () => {
  const before = json<Record<string, string>>(await cli.run(['whoami', '--json']))
  expect((await cli.run(['whoami'], at(other))).stderr).toContain('there is no session')
  const moved = await cli.run(['init', '--json'], at(other))
  expect(moved.stderr).toContain('new broker')
  expect(json<Record<string, string>>(moved)['ledger_vkey']).not.toBe(before['ledger_vkey'])
  expect(json(await cli.run(['whoami', '--json']))).toEqual(before)
})

test('a session from elsewhere pins the broker at its first mint, and receipts are verified from then on', async () => {
  const fresh = new Cli({ AGENTKEYS_BROKER_URL: other.url })
  const { session } = await other.session()
  const first = await fresh.run(['token'], { env: { AGENTKEYS_SESSION: session } })
  expect([first.code, first.stderr]).toEqual([0, expect.stringContaining('new broker')])
  expect((await fresh.run(['token'], { env: { AGENTKEYS_SESSION: session } })).stderr).toBe('')
  fresh.dispose()
})

test('a broker that is known and shows another key is refused, by init and at a mint', async () => {
  const folder = `http_127.0.0.1_3a${new URL(other.url).port}`
  const path = join(cli.home, '.agentkeys', 'brokers', folder, 'ledger-key.json')
  expect(existsSync(path)).toBe(true)
  const pin = readFileSync(path, 'utf8')
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(pin) as object), vkey: VKEY }))
  const init = await cli.run(['init'], at(other))
  const token = await cli.run(['token'], at(other))
  writeFileSync(path, pin)
  expect([init.code, init.stderr]).toEqual([1, expect.stringContaining('another ledger key')])
  expect([token.code, token.stdout]).toEqual([1, ''])
})
