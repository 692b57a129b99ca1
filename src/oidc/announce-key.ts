import type { LedgerEvent } from '../domain/ledger/events.js'
import type { SigningKey } from './key-file.js'

/** What the ledger says of the issuer's keys so far. */
export interface KnownKeys {
  isPublished(kid: string): boolean
  isRevoked(kid: string): boolean
  activeKid(): string | undefined
}

/** The key file holds a key that the ledger says must not be used. */
export class KeyRevoked extends Error {
  constructor(kid: string) {
    super(
      `the signing key ${kid} was revoked: move BROKER_OIDC_KEYPAIR_PATH's file away, and a new key is made`,
    )
    this.name = 'KeyRevoked'
  }
}

/** The events that make `key` the active one; none if it is. Nothing may be signed with it before they are durable. */
export function announceKey({ kid, jwk }: SigningKey, known: KnownKeys): LedgerEvent[] {
  if (known.isRevoked(kid)) throw new KeyRevoked(kid)
  const active = known.activeKid()
  if (active === kid) return []
  const events: LedgerEvent[] = []
  if (!known.isPublished(kid)) events.push({ type: 'SigningKeyPublished', data: { kid, alg: 'ES256', jwk } })
  events.push({ type: 'SigningKeyActivated', data: { kid, alg: 'ES256' } })
  if (active !== undefined) events.push({ type: 'SigningKeyRetired', data: { kid: active, alg: 'ES256' } })
  return events
}
