#!/usr/bin/env node
// Makes what brokers that share a ledger have in common, before the first of them starts: the issuer's key, the ledger's
// key and the two tokens. Two brokers that start at once would each make their own.

import { type Config, readConfig } from '../../src/config.js'
import { parseFlags } from '../../src/start/flags.js'
import { loadOrCreateLedgerKey } from '../../src/ledger/key.js'
import { createSigningKey, loadOrCreateSigningKey, settleSigningKey } from '../../src/oidc/key-file.js'
import { KeyRing } from '../../src/oidc/key-ring.js'
import { loadOrCreateToken } from '../../src/storage/token-file.js'

const USAGE = `Usage: node dist/tools/deploy/make-keys.js

Makes the files that BROKER_OIDC_KEYPAIR_PATH (and the folder of the next key beside it), BROKER_LEDGER_KEY_PATH, BROKER_AUDITOR_TOKEN_FILE and
BROKER_OPERATOR_TOKEN_FILE name, mode 0600. A file that is there is checked and left as it is. Reads the same
variables as the broker: the ledger's key is bound to the ledger's name, which is made of the issuer.

Exit codes: 0 all there, 1 the configuration or a file is at fault, 2 wrong usage.`

function main(args: string[]): void {
  if (args.length > 0) {
    process.stderr.write(`${USAGE}\n`)
    process.exitCode = args[0] === '--help' ? 0 : 2
    return
  }
  const config = configured()
  if (!config) {
    process.exitCode = 1
    return
  }
  try {
    for (const line of makeKeys(config)) process.stdout.write(`${line}\n`)
  } catch (error) {
    process.stderr.write(`make-keys: ${(error as Error).message}\n`)
    process.exitCode = 1
  }
}

function makeKeys(config: Config): string[] {
  const key = loadOrCreateSigningKey(config.oidcKeypairPath)
  // Made on purpose: it may take the place of the active one.
  settleSigningKey(config.oidcKeypairPath, key)
  // Brokers that may not write to the folder publish this one to be the next, and all have it.
  const ring = KeyRing.open(config.oidcKeypairPath)
  if (ring.others().length === 0) createSigningKey(ring.folder)
  const { vkey } = loadOrCreateLedgerKey(config.ledger.keyPath, config.ledger.origin)
  loadOrCreateToken(config.auditorTokenFile)
  loadOrCreateToken(config.operatorTokenFile)
  return [
    `${config.oidcKeypairPath}: kid ${key.kid}`,
    ring.folder,
    // Public, and to be given to auditors by another way than the broker itself.
    `${config.ledger.keyPath}: vkey ${vkey}`,
    config.auditorTokenFile,
    config.operatorTokenFile,
  ]
}

function configured(): Config | undefined {
  const line = parseFlags([])
  if (line.kind !== 'run') throw new Error('no flags are a run')
  const reading = readConfig(process.env, line.flags)
  for (const warning of reading.warnings) process.stderr.write(`warning: ${warning}\n`)
  if ('config' in reading) return reading.config
  for (const problem of reading.problems) process.stderr.write(`error: ${problem}\n`)
  return undefined
}

main(process.argv.slice(2))
