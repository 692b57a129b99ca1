#!/usr/bin/env node
// Sets up the users and rights of an EventStoreDB that is to hold a ledger.

import { setTimeout as sleep } from 'node:timers/promises'

import { AccessDeniedError } from '@eventstore/db-client'

import { StoreError } from '../../src/event-store/event-store.js'
import { type Address, parseAddress } from '../../src/event-store/eventstoredb-address.js'
import { initEventStore, type SetupStep } from '../../src/event-store/eventstoredb-setup.js'

const USAGE = `Usage: node dist/tools/deploy/init-ledger.js

Makes the users ledger-app and ledger-audit of an EventStoreDB, and the default rights that let ledger-app append and
read and nobody but administrators delete. Run again it changes nothing but the passwords, which become the given ones.

  LEDGER_ADMIN_URL        esdb://admin:password@host:port?…, an administrator's
  LEDGER_APP_PASSWORD     of ledger-app, for the brokers
  LEDGER_AUDIT_PASSWORD   of ledger-audit, for readers

Waits up to two minutes for a cluster that has no leader or no administrator yet.
Exit codes: 0 set up, 1 refused, 2 wrong usage, 3 EventStoreDB could not be reached.`

const PATIENCE_MS = 120_000
const PAUSE_MS = 2_000

interface Setup {
  address: Address
  passwords: { app: string; audit: string }
}

async function main(args: string[]): Promise<number> {
  if (args.length > 0) {
    process.stderr.write(`${USAGE}\n`)
    return args[0] === '--help' ? 0 : 2
  }
  let setup: Setup
  try {
    setup = setupFrom(process.env)
  } catch (error) {
    return failed(2, error)
  }
  try {
    for (const step of await patiently(setup)) process.stdout.write(`${lineOf(step)}\n`)
    return 0
  } catch (error) {
    return failed(error instanceof StoreError && error.code === 'refused' ? 1 : 3, error)
  }
}

function setupFrom(variables: NodeJS.ProcessEnv): Setup {
  const url = required(variables, 'LEDGER_ADMIN_URL')
  const app = required(variables, 'LEDGER_APP_PASSWORD')
  const audit = required(variables, 'LEDGER_AUDIT_PASSWORD')
  if (app === audit)
    throw new Error('LEDGER_APP_PASSWORD and LEDGER_AUDIT_PASSWORD are the same: readers could append')
  return { address: parseAddress(url), passwords: { app, audit } }
}

function required(variables: NodeJS.ProcessEnv, name: string): string {
  const value = variables[name]
  if (!value) throw new Error(`${name} is not set: see --help`)
  return value
}

/** Safe to repeat whatever came of the last try: each step asks first what is there. */
async function patiently({ address, passwords }: Setup): Promise<SetupStep[]> {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      return await initEventStore(address, passwords)
    } catch (error) {
      if (isFinal(error) || Date.now() > until) throw error
      process.stderr.write(`waiting for ${address.name}: ${(error as Error).message}\n`)
      await sleep(PAUSE_MS)
    }
  }
}

/** A new database makes its administrator a moment after it has a leader: until then nobody may do anything. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof StoreError && error.code === 'refused' && !(error.cause instanceof AccessDeniedError)
  )
}

function lineOf(step: SetupStep): string {
  return step.step === 'user' ? `user ${step.name}: ${step.outcome}` : `${step.step}: ${step.outcome}`
}

function failed(code: 1 | 2 | 3, error: unknown): number {
  process.stderr.write(`init-ledger: ${(error as Error).message}\n`)
  return code
}

process.exitCode = await main(process.argv.slice(2))
