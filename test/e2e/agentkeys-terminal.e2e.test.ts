// agentkeys in a terminal, without one, interrupted, and twice at once.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { AGENTKEYS, Cli, type Ended } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
let cli: Cli
beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli(brokerEnv())
  expect(await cli.run(['init'])).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  cli.dispose()
  await world.dispose()
})

const brokerEnv = () => ({
  AGENTKEYS_BROKER_URL: world.broker.url,
  AGENTKEYS_BACKEND_URL: world.broker.sessionUrl,
})

interface Terminal {
  child: ChildProcess
  shown: () => string
  ended: Promise<number | null>
}

/** A terminal of so many columns, by script(1). What its stdin gets is typed. */
function terminal(columns: number, line: readonly string[]): Terminal {
  const command = [process.execPath, AGENTKEYS, ...line].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', `stty cols ${columns} rows 24; exec ${command}`, '/dev/null'], {
    env: { PATH: process.env['PATH'], HOME: cli.home, TERM: 'xterm', SHELL: '/bin/sh', ...brokerEnv() },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { child, shown: () => shown, ended }
}

test('help is as wide as a narrow terminal, and as long as it is without one', async () => {
  const { shown, ended } = terminal(40, ['exec', '--help'])
  expect(await ended).toBe(0)
  const lines = shown().split('\r\n')
  expect(lines.filter((text) => text.length > 40)).toEqual([])
  expect(lines).toContain('Run a command with AWS credentials that')
  expect((await cli.run(['exec', '--help'])).stdout).toContain(
    'Run a command with AWS credentials that renew themselves',
  )
})

const TTY = 'console.log(`${process.stdin.isTTY} ${process.stdout.isTTY} ${process.stdout.columns}`)'

test('a child has the terminal, or none where there is none', async () => {
  const { shown, ended } = terminal(53, ['exec', '--', process.execPath, '-e', TTY])
  expect(await ended).toBe(0)
  expect(shown()).toContain('true true 53')
  expect((await cli.run(['exec', '--', process.execPath, '-e', TTY])).stdout).toBe(
    'undefined undefined undefined\n',
  )
})

const PATIENT =
  'process.on("SIGINT", () => { console.log("interrupted"); process.exit(9) }); setInterval(() => 0, 1000); console.log("up")'

test('Ctrl-C is for the child to answer, and its exit code is ours', async () => {
  const { child, shown, ended } = terminal(80, ['exec', '--', process.execPath, '-e', PATIENT])
  await until(
    () => shown().includes('up\r\n'),
    () => `the child did not start: ${shown()}`,
  )
  child.stdin?.write('\u0003')
  expect(await ended).toBe(9)
  expect(shown()).toContain('interrupted')
})

describe('a broker that takes the connection and says nothing', () => {
  test('a command that waits for it ends at SIGINT, with nothing on stdout and no stack trace', async () => {
    const mute = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const connected = once(mute, 'connection')
    const { port } = mute.address() as AddressInfo
    const env = { AGENTKEYS_BROKER_URL: `http://127.0.0.1:${port}`, AGENTKEYS_SESSION: 'f'.repeat(64) }
    const { child, ended } = cli.start(['credential-process'], { env })
    const [socket] = (await connected) as [{ destroy(): void }]
    child.kill('SIGINT')
    expect(await ended).toEqual({ code: null, signal: 'SIGINT', stdout: '', stderr: '' })
    socket.destroy()
    mute.close()
  })
})

test('two that sign in at once on an empty home are the same wallet, which is the one that is kept', async () => {
  const both = new Cli(brokerEnv())
  const walletOf = ({ stdout }: Ended) => (JSON.parse(stdout) as { wallet: string }).wallet
  const wallets = (await Promise.all([both.run(['init', '--json']), both.run(['init', '--json'])])).map(
    walletOf,
  )
  wallets.push(walletOf(await both.run(['whoami', '--json'])), walletOf(await both.run(['init', '--json'])))
  both.dispose()
  expect(new Set(wallets).size).toBe(1)
})
