// config aws|mcp: prints the lines that make other programs use agentkeys. It edits no file.

import { fileURLToPath } from 'node:url'

import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { askOf } from '../mint-options.js'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

export function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const [what] = call.args
  switch (what) {
    case 'aws':
      process.stdout.write(awsProfile(context, call))
      return Promise.resolve(0)
    case 'mcp':
      process.stdout.write(mcpServer(context, call.values['client']))
      return Promise.resolve(0)
    default:
      throw new UsageError('config: one of aws, mcp')
  }
}

function awsProfile(context: Context, { values }: Call): string {
  const { role, durationSeconds } = askOf(values)
  const words = [
    process.execPath,
    MAIN,
    'credential-process',
    ...['--broker-url', context.home.url.href, '--session-id', context.sessionId],
    ...(role === undefined ? [] : ['--role', role]),
    ...(durationSeconds === undefined ? [] : ['--duration', String(durationSeconds)]),
  ]
  // Some SDKs run the line through a shell and some do not, so no word may need quotes.
  const odd = words.find((word) => !/^[\w@%+=:,./-]+$/.test(word))
  if (odd !== undefined)
    throw new UsageError(
      `${JSON.stringify(odd)} would need quotes, which AWS SDKs read differently: use a plain path`,
    )
  const name = typeof values['profile'] === 'string' ? values['profile'] : 'agentkeys'
  const head = name === 'default' ? '[default]' : `[profile ${name}]`
  const region = typeof values['region'] === 'string' ? `region = ${values['region']}\n` : ''
  return `${head}\n${region}credential_process = ${words.join(' ')}\n`
}

const CLIENTS = ['claude', 'vscode', 'cursor'] as const

function mcpServer(context: Context, client: unknown): string {
  const known = CLIENTS.find((one) => one === client)
  if (!known) throw new UsageError(`config mcp --client: one of ${CLIENTS.join(', ')}`)
  const server = {
    ...(known === 'vscode' ? { type: 'stdio' } : {}),
    command: process.execPath,
    args: [MAIN, 'mcp'],
    env: { AGENTKEYS_BROKER_URL: context.home.url.href },
  }
  const servers = { agentkeys: server }
  return `${JSON.stringify(known === 'vscode' ? { servers } : { mcpServers: servers }, undefined, 2)}\n`
}
