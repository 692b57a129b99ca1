// config aws|mcp: prints the lines that make other programs use agentkeys. It edits no file.

import { fileURLToPath } from 'node:url'

import { awsProfile, tokenFileProfile } from '../aws-profile.js'
import { Backend } from '../backend.js'
import { type Call, UsageError } from '../command.js'
import { Context } from '../context.js'
import { describeBroker } from '../description.js'
import { askOf } from '../mint-options.js'
import { ownWallet } from '../stored-credentials.js'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

export async function run(call: Call): Promise<number> {
  const context = Context.of(call)
  const [what] = call.args
  switch (what) {
    case 'aws':
      process.stdout.write(await profileOf(context, call))
      return 0
    case 'mcp':
      process.stdout.write(mcpServer(context, call.values['client']))
      return 0
    default:
      throw new UsageError('config: one of aws, mcp')
  }
}

async function profileOf(context: Context, { values }: Call): Promise<string> {
  const profile = context.text('profile') ?? 'agentkeys'
  const described = await describeBroker(context.home.url)
  const region = context.text('region') ?? described?.region
  const tokenFile = context.text('token-file')
  if (tokenFile === undefined) return awsProfile(context, { ...askOf(values), profile, region })
  const role = context.text('role') ?? described?.roles[0]
  if (role === undefined) throw new UsageError('config aws --token-file: name the role with --role ARN')
  return tokenFileProfile({ profile, tokenFile, role, wallet: await walletOf(context), region })
}

async function walletOf(context: Context): Promise<string> {
  const { token, wallet } = await context.requireSession()
  return wallet === '' ? ownWallet(await Backend.of(context), token) : wallet
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
