// agentkeys-broker init-eventstore: users and default ACL of an EventStoreDB that is to hold the ledger. Secrets come
// from the environment and from private files, never from the command line, which every user of the machine can read.

import { setTimeout as pause } from 'node:timers/promises'

import { AccessDeniedError } from '@eventstore/db-client'

import type { Variables } from '../config/environment.js'
import { StoreError } from '../event-store/event-store.js'
import { type Address, parseAddress } from '../event-store/eventstoredb/address.js'
import { initEventStore, type SetupStep } from '../event-store/eventstoredb/setup.js'
import { PrivateFileError, readPrivateFile } from '../storage/private-file.js'
import { codeOfFailure, type Outcome } from './outcome.js'

export interface InitEventStoreArguments {
  appPasswordFile: string
  auditPasswordFile: string
  /** For how long to try again what may yet succeed. */
  waitSeconds: number
}

interface Setup {
  address: Address
  passwords: { app: string; audit: string }
}

const PAUSE_MS = 2_000

export async function initEventStoreFrom(
  files: InitEventStoreArguments,
  { BROKER_LEDGER_ADMIN_URL: url }: Variables,
): Promise<Outcome> {
  let setup: Setup
  try {
    setup = setupFrom(files, url)
  } catch (error) {
    return { code: 2, message: `init-eventstore: ${(error as Error).message}` }
  }
  try {
    const steps = await patiently(setup, files.waitSeconds)
    return { code: 0, message: steps.map(sentenceOf).join('\n') }
  } catch (error) {
    return { code: codeOfFailure(error), message: `init-eventstore: ${(error as Error).message}` }
  }
}

function setupFrom(
  { appPasswordFile, auditPasswordFile }: InitEventStoreArguments,
  url: string | undefined,
): Setup {
  if (!url) throw new Error("BROKER_LEDGER_ADMIN_URL is not set: give it an administrator's esdb:// URL")
  const passwords = { app: passwordIn(appPasswordFile), audit: passwordIn(auditPasswordFile) }
  if (passwords.app === passwords.audit)
    throw new Error('both files hold the same password: a user with read access could append')
  return { address: parseAddress(url), passwords }
}

/** Safe to repeat whatever came of the last try: each step asks first what is there. */
async function patiently({ address, passwords }: Setup, waitSeconds: number): Promise<SetupStep[]> {
  const until = Date.now() + waitSeconds * 1000
  for (;;) {
    try {
      return await initEventStore(address, passwords)
    } catch (error) {
      if (isFinal(error) || Date.now() + PAUSE_MS > until) throw error
      process.stderr.write(`waiting for ${address.name}: ${(error as Error).message}\n`)
      await pause(PAUSE_MS)
    }
  }
}

/** A new database makes its administrator a moment after it has a leader: until then every request is denied. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof StoreError && error.code === 'refused' && !(error.cause instanceof AccessDeniedError)
  )
}

/** One line break at the end is the editor's, not the password's. */
function passwordIn(path: string): string {
  const password = readPrivateFile(path)?.replace(/\r?\n$/, '')
  if (password === undefined) throw new PrivateFileError(path, 'there is no such file')
  if (!/^[\x21-\x7e]{12,128}$/.test(password))
    throw new PrivateFileError(path, 'a password must be 12 to 128 visible ASCII characters on one line')
  return password
}

function sentenceOf(step: SetupStep): string {
  return step.step === 'user' ? `user ${step.name}: ${step.outcome}` : `${step.step}: ${step.outcome}`
}
