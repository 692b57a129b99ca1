// Where secrets lie: in a Secret Service that is open, and in files beside one that is locked or does not answer.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type Ended } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const KEYRING = '/usr/bin/gnome-keyring-daemon'

let world: BrokerWithAws
let cli: Cli
const closing: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  world = await startBrokerWithAws()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  await world.dispose()
})

/** A command line with an empty home beside the bus at `address`. */
function withBus(address: string): void {
  const own = new Cli({
    AGENTKEYS_BROKER_URL: world.broker.url,
    AGENTKEYS_BACKEND_URL: world.broker.sessionUrl,
    DBUS_SESSION_BUS_ADDRESS: address,
  })
  cli = own
  closing.push(() => Promise.resolve(own.dispose()))
}

const json = ({ stdout }: Ended) => JSON.parse(stdout) as Record<string, string>

const secretFiles = () =>
  readdirSync(join(cli.home, '.agentkeys'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /(?:master\.json|wallet-key)$/.test(name))
    .map((name) => name.split('/').at(-1))
    .sort()

/** Signs in twice, since the second time the wallet's key is read back, and asks who that is. */
async function signedIn(): Promise<{ wallets: Set<string | undefined>; store: string | undefined }> {
  const ended = [
    await cli.run(['init', '--json']),
    await cli.run(['init', '--json']),
    await cli.run(['whoami', '--json']),
  ]
  expect(ended.map(({ code, stderr }) => [code, code === 0 ? '' : stderr])).toEqual(ended.map(() => [0, '']))
  const answers = ended.map(json)
  return {
    wallets: new Set(answers.map(({ wallet }) => wallet)),
    store: answers.at(-1)?.['session_store'],
  }
}

test('a bus that takes the connection and says nothing is given up, and files are used', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mute-bus-'))
  const path = join(folder, 'bus')
  const bus = createServer((socket) => socket.on('error', () => undefined).resume()).listen(path)
  await once(bus, 'listening')
  closing.push(() => {
    rmSync(folder, { recursive: true })
    return new Promise((resolve) => bus.close(resolve))
  })
  withBus(`unix:path=${path}`)
  const { wallets, store } = await signedIn()
  expect([wallets.size, store, secretFiles()]).toEqual([1, 'file', ['master.json', 'wallet-key']])
})

test('a bus that is not there is no keychain', async () => {
  withBus('unix:path=/nonexistent/bus')
  expect(await signedIn()).toMatchObject({ store: 'file' })
})

/** A session bus of our own, and GNOME's Secret Service on it, with an empty home of its own. */
async function secretService(password: string | undefined): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'keyring-'))
  mkdirSync(join(home, 'run'), { mode: 0o700 })
  closing.push(() => Promise.resolve(rmSync(home, { recursive: true, force: true })))
  const env = { PATH: process.env['PATH'], HOME: home, XDG_RUNTIME_DIR: join(home, 'run') }
  const bus = started(spawn('dbus-daemon', ['--session', '--nofork', '--print-address'], { env }))
  const [address] = (await once(bus.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const beside = { ...env, DBUS_SESSION_BUS_ADDRESS: address.toString().trim() }
  const args = ['--foreground', '--components=secrets', ...(password === undefined ? [] : ['--unlock'])]
  const service = started(spawn(KEYRING, args, { env: beside }))
  service.stdin?.end(password ?? '')
  await until(
    () => isOwned(beside),
    () => 'no Secret Service came up',
  )
  return beside.DBUS_SESSION_BUS_ADDRESS
}

function started(child: ChildProcess): ChildProcess {
  closing.push(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  return child
}

async function isOwned(env: NodeJS.ProcessEnv): Promise<boolean> {
  const ask = 'org.freedesktop.DBus.NameHasOwner'
  const args = ['--session', '--dest=org.freedesktop.DBus', '--print-reply', '/', ask]
  const { stdout } = await promisify(execFile)('dbus-send', [...args, 'string:org.freedesktop.secrets'], {
    env,
  })
  return stdout.includes('true')
}

const missing = [
  ...(existsSync(KEYRING) ? [] : ['gnome-keyring (apt-get install gnome-keyring dbus-daemon)']),
  ...(isInstalled('@napi-rs/keyring') ? [] : ['@napi-rs/keyring (npm ci --include=optional)']),
]

function isInstalled(name: string): boolean {
  try {
    return createRequire(import.meta.url).resolve(name) !== ''
  } catch {
    return false
  }
}

// CI installs both; elsewhere the report names what was not tried.
for (const name of missing) test.skip(`not installed: ${name}`, () => undefined)

if (missing.length === 0)
  describe("GNOME's Secret Service", () => {
    test('that is open keeps session and wallet key, and no file does', async () => {
      withBus(await secretService('a password'))
      const { wallets, store } = await signedIn()
      expect([wallets.size, store, secretFiles()]).toEqual([1, 'keychain', []])
      const elsewhere = { env: { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus' } }
      expect(await cli.run(['whoami'], elsewhere)).toMatchObject({
        code: 3,
        stderr: expect.stringContaining('is in the keychain, which does not answer'),
      })
      expect(await cli.run(['revoke'])).toMatchObject({ code: 0 })
      expect((await cli.run(['whoami'])).stderr).toContain('there is no session')
    })

    test('that is locked is not waited for: files keep them', async () => {
      withBus(await secretService(undefined))
      const { wallets, store } = await signedIn()
      expect([wallets.size, store, secretFiles()]).toEqual([1, 'file', ['master.json', 'wallet-key']])
    })
  })
