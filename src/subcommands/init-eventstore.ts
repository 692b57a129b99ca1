// agentkeys-broker init-eventstore: users and default ACL of an EventStoreDB that is to hold the ledger. Secrets come
// from the environment and from private files, never from the command line, which every user of the machine can read.

import type { Variables } from '../config/environment.js'
import { StoreError } from '../event-store/event-store.js'
import { type Address, parseAddress } from '../event-store/eventstoredb-address.js'
import { initEventStore, type SetupStep } from '../event-store/eventstoredb-setup.js'
import { PrivateFileError, readPrivateFile } from '../storage/private-file.js'
import type { Outcome } from './outcome.js'

export interface InitEventStoreArguments {
  appPasswordFile: string
  auditPasswordFile: string
}

export async function initEventStoreFrom(
  { appPasswordFile, auditPasswordFile }: InitEventStoreArguments,
  { BROKER_LEDGER_ADMIN_URL: url }: Variables,
): Promise<Outcome> {
  if (!url) return wrong("BROKER_LEDGER_ADMIN_URL is not set: give it an administrator's esdb:// URL")
  let address: Address
  let passwords: { app: string; audit: string }
  try {
    address = parseAddress(url)
    passwords = { app: passwordIn(appPasswordFile), audit: passwordIn(auditPasswordFile) }
  } catch (error) {
    return wrong((error as Error).message)
  }
  try {
    const steps = await initEventStore(address, passwords)
    return { code: 0, message: steps.map(told).join('\n') }
  } catch (error) {
    const refused = error instanceof StoreError && error.code === 'refused'
    return { code: refused ? 1 : 3, message: `init-eventstore: ${(error as Error).message}` }
  }
}

const wrong = (reason: string): Outcome => ({ code: 2, message: `init-eventstore: ${reason}` })

/** One line break at the end is the editor's, not the password's. */
function passwordIn(path: string): string {
  const password = readPrivateFile(path)?.replace(/\r?\n$/, '')
  if (password === undefined) throw new PrivateFileError(path, 'there is no such file')
  if (!/^[\x21-\x7e]{12,128}$/.test(password))
    throw new PrivateFileError(path, 'a password must be 12 to 128 visible ASCII characters on one line')
  return password
}

function told(step: SetupStep): string {
  return step.step === 'user' ? `user ${step.name}: ${step.outcome}` : `${step.step}: ${step.outcome}`
}
