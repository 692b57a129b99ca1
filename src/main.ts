#!/usr/bin/env node
// agentkeys-broker: parse, and only then load what the command needs: help and refusals come at once.
// Its heap stays near 40 MB (docs/performance.md).

import './bounded-garbage.js'

import { writeSync } from 'node:fs'

import { type Config, type Flags, readConfig } from './config.js'
import { describeConfig } from './config/effective.js'
import type { Variables } from './config/environment.js'
import { readMailRouter } from './config/mail-router.js'
import { secretReferences } from './config/secret-reference.js'
import { readSessionService } from './config/session-service.js'
import { type CommandLine, DEFAULT_FLAGS, parseFlags } from './start/flags.js'
import { USAGE } from './start/usage.js'
import { withKeptOrigin } from './start/kept-origin.js'
import type { Outcome } from './subcommands/outcome.js'
import { VERSION } from './version.js'

/** The environment, with values in the places of secret references. process.env, which children get, keeps the references. */
let variables: Variables = process.env

async function main(): Promise<void> {
  const line = parseFlags(process.argv.slice(2))
  if (!['help', 'version', 'wrong-usage'].includes(line.kind)) await resolveReferences()
  switch (line.kind) {
    case 'help':
      return print(USAGE)
    case 'version':
      return print(VERSION)
    case 'wrong-usage':
      for (const problem of variableProblems()) say(`error: ${problem}`)
      return end(2, line.message)
    case 'print-config':
      return print(JSON.stringify(describeConfig(configured(line.flags)), null, 2))
    case 'session-backend': {
      const config = settled(readSessionService(variables))
      return (await import('./start/run-session-backend.js')).runSessionBackend(config)
    }
    case 'mail-router': {
      const config = settled(readMailRouter(variables))
      return (await import('./start/run-mail-router.js')).runMailRouter(config)
    }
    case 'run': {
      const config = configured(line.flags)
      return (await import('./start/run.js')).run(config)
    }
    default:
      return finish(await outcomeOf(line))
  }
}

type Subcommand = Exclude<
  CommandLine,
  { kind: 'help' | 'version' | 'wrong-usage' | 'print-config' | 'session-backend' | 'mail-router' | 'run' }
>

/** A subcommand that does its work and ends. */
async function outcomeOf(line: Subcommand): Promise<Outcome> {
  switch (line.kind) {
    case 'export-tiles': {
      const config = configured(line.flags)
      return (await import('./subcommands/export-tiles.js')).exportTilesTo(line.directory, config)
    }
    case 'backup': {
      const config = configured(line.flags)
      return (await import('./subcommands/backup.js')).backUpTo(line.directory, config)
    }
    case 'init-eventstore':
      return (await import('./subcommands/init-eventstore.js')).initEventStoreFrom(line, variables)
    case 'migrate-ledger':
      return (await import('./subcommands/migrate-ledger.js')).migrateLedgerBetween(line, variables)
    case 'adopt-ledger': {
      const config = configured(line.flags)
      return (await import('./subcommands/adopt-ledger.js')).adoptLedger(line, config)
    }
    case 'policy': {
      const config = configured(line.flags)
      return (await import('./subcommands/policy.js')).policy(line.line, config)
    }
    case 'cloud-setup':
      return (await import('./subcommands/cloud-setup.js')).cloudSetup(line.line)
    case 'recovery': {
      const config = configured(line.flags)
      return (await import('./subcommands/recovery.js')).recover(line.line, config)
    }
    case 'approvals':
    case 'keys':
    case 'cut-off':
    case 'restore':
      return askedOutcome(line, configured(line.flags))
  }
}

/** Of what the running broker is asked to do. */
async function askedOutcome(
  line: Extract<Subcommand, { kind: 'approvals' | 'keys' | 'cut-off' | 'restore' }>,
  config: Config,
): Promise<Outcome> {
  switch (line.kind) {
    case 'approvals':
      return (await import('./subcommands/approvals.js')).approvals(line.line, config)
    case 'keys':
      return (await import('./subcommands/keys.js')).keys(line.line, config)
    case 'cut-off':
    case 'restore':
      return (await import('./subcommands/cut-off.js')).changeCutOff(line, config)
  }
}

/** A secret that cannot be had ends the start with a code of its own, by which systemd is kept from trying on and on. */
async function resolveReferences(): Promise<void> {
  const references = secretReferences(process.env)
  if (references.size === 0) return
  const { resolveSecrets } = await import('./secrets/resolve.js')
  const { SecretError, SECRET_EXIT } = await import('./secrets/secret-error.js')
  try {
    variables = { ...process.env, ...(await resolveSecrets(references)) }
  } catch (error) {
    if (!(error instanceof SecretError)) throw error
    say(`error: ${error.message}`)
    process.exit(SECRET_EXIT[error.kind])
  }
}

function configured(flags: Flags): Config {
  return withKeptOrigin(settled(readConfig(variables, flags)))
}

type Reading<C> =
  { config: C; warnings: readonly string[] } | { problems: readonly string[]; warnings: readonly string[] }

/** The configuration, its warnings on stderr; all its problems at once, and the end, when there are any. */
function settled<C>(reading: Reading<C>): C {
  for (const warning of reading.warnings) say(`warning: ${warning}`)
  if ('config' in reading) return reading.config
  for (const problem of reading.problems) say(`error: ${problem}`)
  process.exit(1)
}

/** All that is wrong is said at once, also where the command line is wrong. */
function variableProblems(): readonly string[] {
  // What a reference stands for is not asked for a command that does not run.
  if (secretReferences(process.env).size > 0) return []
  const reading = readConfig(process.env, DEFAULT_FLAGS)
  return 'problems' in reading ? reading.problems : []
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function finish({ code, message }: Outcome): void {
  if (code === 0) print(message)
  else end(code, message)
}

function end(code: number, message: string): void {
  say(message)
  process.exitCode = code
}

/** Where standard error cannot be written (a full disk), the exit code still says how it ended. */
function say(line: string): void {
  try {
    writeSync(2, `${line}\n`)
  } catch {
    return
  }
}

await main()
