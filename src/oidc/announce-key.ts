import type { LedgerEvent } from '../domain/ledger/events.js'
import type { SigningKey } from './key-file.js'

/** What the ledger says of the issuer's keys so far. */
export interface KnownKeys {
  isPublished(kid: string): boolean
  isRevoked(kid: string): boolean
  isRetired(kid: string): boolean
  activeKid(): string | undefined
}

/** The key file holds a key whose life has ended, as the ledger says: a verifier takes nothing it signs from then on. */
export class KeyEnded extends Error {
  constructor(kid: string, how: 'revoked' | 'retired') {
    super(
      `the signing key ${kid} was ${how}: move the file of BROKER_OIDC_KEYPAIR_PATH away, and a new key is made` +
        (how === 'retired' ? ', or put the file of the active key back' : ''),
    )
    this.name = 'KeyEnded'
  }
}

/** The events that make `key` the active one; none if it is. Nothing may be signed with it before they are durable. */
export function announceKey({ kid, jwk }: SigningKey, known: KnownKeys): LedgerEvent[] {
  if (known.isRevoked(kid)) throw new KeyEnded(kid, 'revoked')
  if (known.isRetired(kid)) throw new KeyEnded(kid, 'retired')
  const active = known.activeKid()
  if (active === kid) return []
  const events: LedgerEvent[] = []
  if (!known.isPublished(kid)) events.push({ type: 'SigningKeyPublished', data: { kid, alg: 'ES256', jwk } })
  events.push({ type: 'SigningKeyActivated', data: { kid, alg: 'ES256' } })
  if (active !== undefined) events.push({ type: 'SigningKeyRetired', data: { kid: active, alg: 'ES256' } })
  return events
}
