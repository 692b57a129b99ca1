#!/usr/bin/env node
// The command line of the local witness.

import { parseArgs } from 'node:util'

import { formatVkey, type NoteKey, parseVkey } from '../../src/domain/ledger/note.js'
import { FormatError } from '../../src/domain/ledger/encoding.js'
import { PrivateFileError } from '../../src/storage/private-file.js'
import { DEFAULT_NAME, type LocalWitness, startLocalWitness } from './server.js'

const USAGE = `Usage: node dist/tools/local-witness/main.js --dir DIR --log VKEY [options]

A witness (C2SP tlog-witness) for development and tests. It cosigns a checkpoint of a log only if the tree follows from
the one it cosigned before. It listens on 127.0.0.1 only.

  --dir DIR     where its key and what it has cosigned are kept; made if missing
  --log VKEY    a log to cosign, by its verifier key (a broker's is at /ledger/vkey); may be repeated
  --name NAME   the name of its key (default ${DEFAULT_NAME})
  --port N      the port to listen on, 0 for any (default 8094)
  --help        print this

Prints a policy for BROKER_WITNESS_POLICY on stdout, and a line per answer on stderr. Stops at SIGINT or SIGTERM.
Exit codes: 0 stopped, 2 wrong usage, 3 the folder or the port cannot be used.`

/** Ends the program with a message and a code; 2 and 3 as in the usage text. */
class Failure extends Error {
  constructor(
    readonly exitCode: 2 | 3,
    message: string,
  ) {
    super(message)
  }
}

async function main(args: string[]): Promise<void> {
  const flags = parseFlags(args)
  if (flags.help) return print(USAGE)
  const { dir, log: vkeys = [], name, port: portText } = flags
  if (dir === undefined || vkeys.length === 0) throw new Failure(2, '--dir and --log are needed. See --help.')
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port > 65_535) throw new Failure(2, '--port must be 0 to 65535')
  const logs = vkeys.map(logKey)
  const witness = await start({ dir, logs, name, port })
  print(policyOf(logs, witness))
  await stopSignal()
  await witness.close()
}

function parseFlags(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        dir: { type: 'string' },
        log: { type: 'string', multiple: true },
        name: { type: 'string', default: DEFAULT_NAME },
        port: { type: 'string', default: '8094' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new Failure(2, `${(error as Error).message}. See --help.`)
  }
}

function logKey(vkey: string): NoteKey {
  try {
    const key = parseVkey(vkey.trim())
    if (key.type === 'ed25519') return key
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new Failure(2, `--log ${vkey}: ${error.message}; give what /ledger/vkey answers`)
  }
  throw new Failure(2, `--log ${vkey} is the key of a witness; give what /ledger/vkey answers`)
}

async function start(options: {
  dir: string
  logs: NoteKey[]
  name: string
  port: number
}): Promise<LocalWitness> {
  try {
    return await startLocalWitness({ ...options, log: (line) => process.stderr.write(`${line}\n`) })
  } catch (error) {
    if (error instanceof PrivateFileError) throw new Failure(3, error.message)
    const { dir, port } = options
    throw new Failure(3, `cannot use --dir ${dir} or port ${port}: ${(error as Error).message}`)
  }
}

/** As the broker and verify-ledger read it. */
function policyOf(logs: readonly NoteKey[], { vkey, url }: LocalWitness): string {
  const lines = logs.map((key) => `log ${formatVkey(key)}`)
  return [...lines, `witness local ${vkey} ${url}`, 'quorum local'].join('\n')
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`local-witness: ${error.message}\n`)
  process.exitCode = error.exitCode
}
