// config aws|mcp: prints the lines that make other programs use agentkeys. It edits no file.

import { fileURLToPath } from 'node:url'

import { awsProfile } from '../aws-profile.js'
import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { askOf } from '../mint-options.js'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

export function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const [what] = call.args
  switch (what) {
    case 'aws':
      process.stdout.write(profileOf(context, call))
      return Promise.resolve(0)
    case 'mcp':
      process.stdout.write(mcpServer(context, call.values['client']))
      return Promise.resolve(0)
    default:
      throw new UsageError('config: one of aws, mcp')
  }
}

function profileOf(context: Context, { values }: Call): string {
  const { profile, region } = values
  return awsProfile(context, {
    ...askOf(values),
    profile: typeof profile === 'string' ? profile : 'agentkeys',
    region: typeof region === 'string' ? region : undefined,
  })
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
