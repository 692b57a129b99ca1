// The MCP server, driven by the official client over stdio, and by a client of 2024 that knows the first protocol.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'

import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { Cli } from '../support/cli.js'
import { verifiedLedger } from '../support/verified-ledger.js'

const MAIN = fileURLToPath(new URL('../../tools/agentkeys/main.js', import.meta.url))

let world: BrokerWithAws
let cli: Cli
beforeAll(async () => {
  world = await startBrokerWithAws()
  cli = new Cli({ AGENTKEYS_BROKER_URL: world.broker.url, AGENTKEYS_BACKEND_URL: world.broker.sessionUrl })
  await cli.run(['init', '--auth-token', '-'], { input: 'alice' })
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

interface Result {
  isError?: boolean
  structuredContent?: Record<string, unknown>
  content: { type: string; text: string }[]
}

/** Runs `work` with a connected client; everything that passed over stdio is in `transcript`. */
async function connected<T>(
  args: string[],
  work: (client: Client) => Promise<T>,
): Promise<{ result: T; transcript: string }> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MAIN, 'mcp', ...args],
    env: { PATH: process.env['PATH'] ?? '', HOME: cli.home, ...brokerEnv() },
    stderr: 'pipe',
  })
  const client = new Client({ name: 'test', version: '1.0.0' })
  let transcript = ''
  await client.connect(transport)
  const listener = transport.onmessage
  transport.onmessage = (message) => {
    transcript += JSON.stringify(message)
    listener?.(message)
  }
  try {
    return { result: await work(client), transcript }
  } finally {
    await client.close()
  }
}

const call = async (client: Client, name: string, args: Record<string, unknown> = {}) =>
  (await client.callTool({ name, arguments: args })) as unknown as Result

describe('a current client', () => {
  test('is shown names that every client accepts, with schemas, and no tool that gives a secret', async () => {
    const { result } = await connected([], (client) => client.listTools())
    const names = result.tools.map(({ name }) => name)
    expect(names).toEqual([
      'agentkeys_aws_session',
      'agentkeys_provision',
      'agentkeys_list_credentials',
      'agentkeys_whoami',
      'agentkeys_receipt',
    ])
    expect(names.every((name) => /^[a-zA-Z0-9_-]{1,64}$/.test(name))).toBe(true)
    expect(
      result.tools.every(({ outputSchema, title }) => outputSchema && title?.startsWith('agentkeys.')),
    ).toBe(true)
  })

  test('sees the original names, and the tool that gives a secret, where they were asked for', async () => {
    const { result } = await connected(['--tool-names', 'dotted', '--allow-secrets'], (client) =>
      client.listTools(),
    )
    expect(result.tools.map(({ name }) => name)).toContain('agentkeys.get_credential')
  })

  test('prepares an AWS profile that works, and no key or token is in the transcript', async () => {
    const { result, transcript } = await connected([], async (client) => {
      const session = await call(client, 'agentkeys_aws_session')
      const { mint_id: mintId } = session.structuredContent ?? {}
      return { session, receipt: await call(client, 'agentkeys.receipt', { mint_id: mintId }) }
    })
    const { session, receipt } = result
    expect(JSON.parse(session.content[0]?.text ?? '')).toEqual(session.structuredContent)
    expect(receipt.structuredContent?.['receipt']).toContain('c2sp.org/tlog-proof@v1')
    for (const secret of await secretsOf()) expect(transcript).not.toContain(secret)
    const { config_file: config, profile } = session.structuredContent as Record<string, string>
    const words = /credential_process = (.*)/.exec(readFileSync(config ?? '', 'utf8'))?.[1]?.split(' ') ?? []
    const { stdout } = await promisify(execFile)(words[0] ?? '', words.slice(1), { env: { HOME: cli.home } })
    const secrets = JSON.parse(stdout) as Record<string, string>
    for (const name of ['SecretAccessKey', 'SessionToken']) expect(transcript).not.toContain(secrets[name])
    const file = await cli.run(['whoami', '--json'])
    expect([profile, file.code]).toEqual(['agentkeys', 0])
  })

  test('gets every failure as a result that says what to do', async () => {
    const { result } = await connected([], async (client) => [
      await call(client, 'agentkeys_aws_session', { role: 'arn:aws:iam::111122223333:role/other' }),
      await call(client, 'agentkeys_receipt', { mint_id: '../../etc/passwd' }),
      await call(client, 'agentkeys_receipt', { mint_id: 7 }),
      await call(client, 'agentkeys_provision', { service: 'no-such' }),
    ])
    expect(result.map(({ isError }) => isError)).toEqual([true, true, true, true])
    expect(result[0]?.structuredContent).toMatchObject({ code: 'forbidden', remedy: expect.any(String) })
    expect(result[3]?.structuredContent).toMatchObject({ code: 'SERVICE_NOT_SUPPORTED' })
  })

  test('cannot call the tool that gives a secret unless it was allowed', async () => {
    const { result } = await connected([], (client) =>
      call(client, 'agentkeys_get_credential', { service: 'x' }).catch((error: unknown) => error as Error),
    )
    expect(result).toBeInstanceOf(Error)
  })
})

/** The session's bearer, and the AWS secrets of its cache. */
async function secretsOf(): Promise<string[]> {
  const root = join(cli.home, '.agentkeys')
  const [session = ''] = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('sessions/master.json'),
  )
  const { token } = JSON.parse(readFileSync(join(root, session), 'utf8')) as { token: string }
  const { stdout } = await cli.run(['credential-process'])
  const { SecretAccessKey = '', SessionToken = '' } = JSON.parse(stdout) as Record<string, string>
  const secrets = [token, SecretAccessKey, SessionToken]
  expect(secrets.every((secret) => secret.length >= 32)).toBe(true)
  return secrets
}

test('a client of 2024-11-05 is served: initialize, list, a call by a dotted name, an error', async () => {
  const { child, ended } = cli.start(['mcp'], { keepOpen: true })
  const replies = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  let transcript = ''
  const ask = async (message: object) => {
    child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
    const line = (await replies.next()).value as string
    transcript += line
    return JSON.parse(line) as { result: Record<string, never> }
  }
  const params = {
    protocolVersion: '2024-11-05',
    capabilities: {},
    clientInfo: { name: 'old', version: '1' },
  }
  const { result: hello } = await ask({ id: 1, method: 'initialize', params })
  child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`)
  const { result: list } = await ask({ id: 2, method: 'tools/list' })
  const { result: who } = await ask({
    id: 3,
    method: 'tools/call',
    params: { name: 'agentkeys.whoami', arguments: {} },
  })
  const session = await ask({
    id: 4,
    method: 'tools/call',
    params: { name: 'agentkeys.aws_session', arguments: {} },
  })
  const { result: failed } = await ask({
    id: 5,
    method: 'tools/call',
    params: { name: 'agentkeys.provision', arguments: { service: 'no-such' } },
  })
  const unknown = await ask({ id: 6, method: 'tools/call', params: { name: 'agentkeys.no_such' } })
  child.stdin?.end()
  expect(session.result).toMatchObject({ content: [{ type: 'text' }] })
  expect(failed).toMatchObject({ isError: true })
  expect(JSON.stringify(failed)).toContain('SERVICE_NOT_SUPPORTED')
  expect(unknown).toMatchObject({ error: { code: -32602 } })
  for (const secret of await secretsOf()) expect(transcript).not.toContain(secret)
  expect(hello).toMatchObject({ protocolVersion: '2024-11-05', serverInfo: { name: 'agentkeys-mcp' } })
  expect(JSON.stringify(list)).toContain('agentkeys_whoami')
  expect(JSON.stringify(who)).toContain('0x')
  expect(await ended).toMatchObject({ code: 0 })
})
