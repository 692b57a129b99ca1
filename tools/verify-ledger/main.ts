#!/usr/bin/env node
// verify-ledger: for the auditor, who trusts neither the broker nor its operator.

import '../../src/bounded-garbage.js'

import { readFileSync } from 'node:fs'

import { exportCommand } from './export.js'
import { receiptCommand } from './receipt.js'
import { SourceError } from './sources/source.js'
import { UsageError } from './usage-error.js'
import { verifyCommand } from './verify.js'

const USAGE = `verify-ledger: proves that a credential ledger is whole, in order and means what it may mean

  verify-ledger SOURCE [options]              verify every entry; of a log, every tile and the signed tree too
  verify-ledger export SOURCE [--out FILE]    write every entry as stored, one a line
  verify-ledger receipt --vkey V --receipt FILE [--jwt FILE] [--entry FILE] [--policy FILE] [--json]
                                              prove offline that this JWT, or this entry, was logged; with
                                              neither, that the entry was which the receipt carries

SOURCE
  http(s)://HOST/ledger    a broker's read side; http(s)://HOST finds it
  DIRECTORY                the same files: checkpoint, tile/…
  sqlite:PATH              the embedded ledger's file; a broker may be writing to it
  esdb://HOST:PORT?…       the shared ledger's stream in EventStoreDB; brokers may be writing to it
  env:NAME                 what the variable NAME says: the way to give an esdb:// URL with user and password
  FILE.jsonl               an export

Options
  --vkey V             the log's key, from someone you trust: without it no one can tell who signed
  --policy FILE        a C2SP tlog-policy: these witnesses must have cosigned
  --checkpoint FILE    a signed checkpoint from before: the ledger must have grown from it
  --token-file FILE    the auditor token, which entries need unless the ledger is public
  --stream NAME        the stream of an esdb:// SOURCE (default: agentkeys-ledger)
  --full               begin at entry 0, whatever the last run has verified
  --state FILE         where the last checkpoint is remembered (default: below $XDG_STATE_HOME or ~/.local/state)
  --no-state           remember nothing, and go by nothing remembered
  --expect-size N      the ledger had N entries when you last looked: it must not have fewer now
  --expect-head HASH   its head at that size, as printed then: what was before must be the same
  --json               one JSON object on stdout
  --out FILE           (export) write to FILE, all or nothing, instead of stdout
  --help, --version

Exit code: 0 verified, 1 there are findings, 2 wrong usage, 3 could not read.

A chain cannot show that its own tail was cut off: that takes a checkpoint, or the size and head printed last time.
docs/auditor.md says what is proven, what is not, and what to do about each finding.
`

async function run(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args
  if (args.includes('--help') || args.includes('-h')) return print(USAGE)
  if (args.includes('--version')) return print(`${version()}\n`)
  switch (first) {
    case undefined:
      throw new UsageError('SOURCE is missing')
    case 'export':
      return exportCommand(rest)
    case 'receipt':
      return receiptCommand(rest)
    default:
      return verifyCommand(args)
  }
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

// The reader of a pipe has gone (`| head`): what was printed is not the whole answer.
process.stdout.on('error', (error: Error) => {
  process.stderr.write(`verify-ledger: cannot write to stdout: ${error.message}\n`)
  process.exit(3)
})

// A token on the command line is a mistake; repeating it in a message would put it into a log as well.
const TOKEN = /ey[\w-]{8,}\.[\w-]{2,}\.[\w-]*/g

/** Says why and gives the exit code. */
function failed(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`verify-ledger: ${message.replace(TOKEN, '(a token, not shown)')}\n`)
  if (error instanceof UsageError) {
    process.stderr.write('Try verify-ledger --help\n')
    return 2
  }
  // A defect of our own says nothing about the ledger either, but its stack is needed to fix it.
  if (!(error instanceof SourceError) && error instanceof Error)
    process.stderr.write(`${error.stack?.replace(TOKEN, '(a token, not shown)')}\n`)
  return 3
}

// What is thrown outside of every promise says nothing about the ledger: 3, where Node itself would end with 1.
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error: unknown) => process.exit(failed(error)))

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  // At once: after an internal error, a thread or a socket may still be open and keep the process from ending.
  process.exit(failed(error))
}
