// A running child keeps its endpoint while the daemon and the broker behind it come and go.

import { createInterface } from 'node:readline'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli, type Started } from '../support/cli.js'
import { until } from '../support/until.js'
import { verifiedLedger } from '../support/verified-ledger.js'

let world: BrokerWithAws
let cli: Cli
beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url, AGENTKEYS_BACKEND_URL: world.broker.sessionUrl })
  expect(await cli.run(['init'])).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await verifiedLedger(world.broker.dataDir)
  cli.dispose()
  await world.dispose()
})

/** Asks its endpoint once for each line it is sent, and ends when there are no more. */
const CHILD = `
  const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: authorization } = process.env
  require('node:readline').createInterface({ input: process.stdin }).on('line', async () => {
    const reply = await fetch(url, { headers: { authorization } })
    const { AccessKeyId, Code, Message } = await reply.json()
    console.log(JSON.stringify({ status: reply.status, AccessKeyId, Code, Message }))
  })
`

interface Answer {
  status: number
  AccessKeyId?: string
  Code?: string
  Message?: string
}

function conversation({ child }: Started): () => Promise<Answer> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  return async () => {
    child.stdin?.write('\n')
    const { value } = (await lines.next()) as { value: string }
    return JSON.parse(value) as Answer
  }
}

async function daemon(): Promise<Started> {
  const started = cli.daemon([])
  let log = ''
  started.child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
  await until(
    () => log.includes('serving session') || started.child.exitCode !== null,
    () => `the daemon does not serve: ${log}`,
  )
  return started
}

async function kill({ child, ended }: Started): Promise<void> {
  child.kill('SIGKILL')
  await ended
}

test('daemon killed, broker down, broker back with another signing key: the child gets the truth and goes on', async () => {
  const first = await daemon()
  const running = cli.start(['exec', '--', process.execPath, '-e', CHILD], { keepOpen: true })
  const ask = conversation(running)
  const { status, AccessKeyId: before } = await ask()
  expect([status, before]).toEqual([200, expect.stringMatching(/^ASIA/)])

  await world.broker.stop()
  expect(await ask()).toMatchObject({ status: 200, AccessKeyId: before })
  await kill(first)
  expect(await ask()).toMatchObject({ status: 503, Message: expect.stringContaining('cannot be reached') })

  const { dataDir } = world.broker
  world.broker = await world.broker.restart({
    env: { BROKER_OIDC_KEYPAIR_PATH: join(dataDir, 'another-keypair.json') },
  })
  const after = await ask()
  expect(after).toMatchObject({ status: 200, AccessKeyId: expect.stringMatching(/^ASIA/) })
  expect(after.AccessKeyId).not.toBe(before)

  const second = await daemon()
  expect(await ask()).toMatchObject({ status: 200 })
  await kill(second)
  expect(await ask()).toMatchObject({ status: 200 })
  running.child.stdin?.end()
  expect(await running.ended).toMatchObject({ code: 0 })
})
