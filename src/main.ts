#!/usr/bin/env node
// agentkeys-broker: parse, and only then load what the command needs: help and refusals come at once.

import { type Config, readConfig } from './config.js'
import { describeConfig } from './config/effective.js'
import { type Flags, parseFlags, USAGE } from './flags.js'
import { VERSION } from './version.js'

async function main(): Promise<void> {
  const line = parseFlags(process.argv.slice(2))
  switch (line.kind) {
    case 'help':
      return print(USAGE)
    case 'version':
      return print(VERSION)
    case 'wrong-usage':
      return end(2, line.message)
    case 'print-config':
      return print(JSON.stringify(describeConfig(configured(line.flags)), null, 2))
    case 'export-tiles': {
      const config = configured(line.flags)
      return (await import('./write-tiles.js')).writeTiles(config, line.directory)
    }
    case 'run': {
      const config = configured(line.flags)
      return (await import('./run.js')).run(config)
    }
  }
}

/** The configuration, its warnings on stderr; all its problems at once, and the end, when there are any. */
function configured(flags: Flags): Config {
  const reading = readConfig(process.env, flags)
  for (const warning of reading.warnings) process.stderr.write(`warning: ${warning}\n`)
  if ('config' in reading) return reading.config
  for (const problem of reading.problems) process.stderr.write(`error: ${problem}\n`)
  process.exit(1)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function end(code: number, message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = code
}

await main()
