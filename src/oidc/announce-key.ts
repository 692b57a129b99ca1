import type { LedgerEvent } from '../domain/ledger/events.js'
import type { SigningKey } from './key-file.js'

/** What the ledger says of the issuer's keys so far. */
export interface KnownKeys {
  isPublished(kid: string): boolean
  /** Retired or revoked: it must not be taken into use again. */
  isOver(kid: string): boolean
  activeKid(): string | undefined
}

/** The key file holds a key that the ledger says must not be used any more. */
export class KeyOver extends Error {
  constructor(kid: string) {
    super(
      `the signing key ${kid} was retired or revoked and is not taken into use again: ` +
        "move BROKER_OIDC_KEYPAIR_PATH's file away, and a new key is made",
    )
    this.name = 'KeyOver'
  }
}

/** The events that make `key` the active one; none if it is. Nothing may be signed with it before they are durable. */
export function announceKey({ kid, jwk }: SigningKey, known: KnownKeys): LedgerEvent[] {
  if (known.isOver(kid)) throw new KeyOver(kid)
  const active = known.activeKid()
  if (active === kid) return []
  const events: LedgerEvent[] = []
  if (!known.isPublished(kid)) events.push({ type: 'SigningKeyPublished', data: { kid, alg: 'ES256', jwk } })
  events.push({ type: 'SigningKeyActivated', data: { kid, alg: 'ES256' } })
  if (active !== undefined) events.push({ type: 'SigningKeyRetired', data: { kid: active, alg: 'ES256' } })
  return events
}
