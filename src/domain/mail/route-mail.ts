// Where a received message goes. By the envelope's recipients and the table of inboxes, and by nothing the sender wrote.

import type { Wallet } from '../wallet.js'
import type { Envelope, EnvelopeReading } from './envelope.js'

export type Routing =
  | { kind: 'deliver'; wallets: readonly Wallet[] }
  | { kind: 'drop'; reason: 'spam' | 'virus' }
  /** For the operator to look at: who it is for is not known, or whether it is harmful. */
  | { kind: 'set-aside'; reason: 'no-envelope' | 'not-scanned' | 'no-inbox' }

/** What is decided without asking who owns an inbox; otherwise the envelope whose recipients are to be looked up. */
export function judgeMail(reading: EnvelopeReading): Routing | Envelope {
  if (!reading.ok) return { kind: 'set-aside', reason: reading.problem }
  const { spam, virus } = reading.envelope
  if (virus === 'FAIL') return { kind: 'drop', reason: 'virus' }
  if (spam === 'FAIL') return { kind: 'drop', reason: 'spam' }
  // GRAY spam is delivered: sign-up mail often is. Of a virus there is no "perhaps".
  if (virus !== 'PASS' || spam === 'PROCESSING_FAILED') return { kind: 'set-aside', reason: 'not-scanned' }
  return reading.envelope
}

/** `owners`: of the envelope's recipients that are inboxes. Those that are none get nothing. */
export function routeMail({ recipients }: Envelope, owners: ReadonlyMap<string, Wallet>): Routing {
  const wallets = recipients.flatMap((recipient) => owners.get(recipient) ?? [])
  if (wallets.length === 0) return { kind: 'set-aside', reason: 'no-inbox' }
  return { kind: 'deliver', wallets: [...new Set(wallets)].sort() }
}
