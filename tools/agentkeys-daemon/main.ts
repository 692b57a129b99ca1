#!/usr/bin/env node
// agentkeys-daemon: holds sessions, mints once, and answers from memory.

import { parseArgs } from 'node:util'

import { GLOBAL } from '../agentkeys/command-line.js'
import { type Options, parseOptions, UsageError, type Values } from '../agentkeys/command.js'
import { Context } from '../agentkeys/context.js'
import { report } from '../agentkeys/report-error.js'

import { runDaemon } from './daemon.js'

const OPTIONS: Options = {
  ...GLOBAL,
  'socket-for': {
    type: 'string',
    multiple: true,
    value: 'ID',
    help: 'also serve the stored session ID on ID.sock',
  },
  endpoint: { type: 'boolean', help: 'also serve AWS SDKs on loopback, with a token' },
  stdio: { type: 'boolean', help: 'be an MCP server on stdin and stdout instead' },
}

const HELP = `agentkeys-daemon: serves AWS credentials and tokens of a session on a unix socket

usage: agentkeys-daemon [OPTIONS]

${Object.entries(OPTIONS)
  .map(([name, { value, help }]) => `  --${name}${value === undefined ? '' : ` ${value}`}\n      ${help}`)
  .join('\n')}
`

async function main(args: string[]): Promise<number> {
  const { values } = parse(args)
  if (values['help'] === true) {
    process.stdout.write(HELP)
    return 0
  }
  if (values['version'] === true) {
    const { VERSION } = await import('../../src/version.js')
    process.stdout.write(`${VERSION}\n`)
    return 0
  }
  if (values['stdio'] === true) {
    const { serveMcp } = await import('../agentkeys/mcp/server.js')
    await serveMcp(new Context(values), { names: 'underscore', allowSecrets: false })
    return 0
  }
  return runDaemon(values)
}

function parse(args: string[]): { values: Values } {
  try {
    return parseArgs({ args, options: parseOptions(OPTIONS) }) as { values: Values }
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0] ?? '')
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = report(error, process.argv.includes('--json'))
}
