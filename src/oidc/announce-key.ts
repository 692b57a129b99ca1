// What a start says of its signing key to the ledger, signed by the ledger key.

import type { LedgerEvent } from '../domain/ledger/events.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import { signKey } from '../domain/ledger/ledger-signature.js'
import type { Signer } from '../domain/ledger/note.js'
import {
  announcement,
  type KeyRefusal,
  type KeyStep,
  type SigningKeys,
} from '../domain/ledger/signing-keys.js'
import type { SigningKey } from './key-file.js'

const NEW_KEY = "move BROKER_OIDC_KEYPAIR_PATH's file away, and a new key is made"

const REMEDY = {
  over: `was retired or revoked and is not taken into use again, under no kid: ${NEW_KEY}`,
  'other-key': `is the kid of another key in the ledger: ${NEW_KEY}`,
  'other-kid': "is in the ledger under another kid: put that kid back into BROKER_OIDC_KEYPAIR_PATH's file",
  'not-the-active':
    "was made just now, and the brokers of this ledger sign with another key: give this broker the active key's " +
    'BROKER_OIDC_KEYPAIR_PATH',
} satisfies Record<KeyRefusal, string>

/** The key file holds a key that must not be used with this ledger. */
export class KeyRefused extends Error {
  constructor(
    kid: string,
    readonly refusal: KeyRefusal,
  ) {
    super(`the signing key ${kid} ${REMEDY[refusal]}`)
    this.name = 'KeyRefused'
  }
}

/**
 * The events that make `key` the active one; none if it is. Nothing may be signed with it before they are durable.
 * `shared`: other brokers write to the ledger too. Throws KeyRefused.
 */
export function announceKey(
  key: SigningKey,
  known: SigningKeys,
  { signer, shared }: { signer: Signer; shared: boolean },
): LedgerEvent[] {
  const { kid, jwk, isNew } = key
  const announced = announcement({ kid, thumbprint: thumbprint(jwk), mayNotReplace: isNew && shared }, known)
  if ('refused' in announced) throw new KeyRefused(kid, announced.refused)
  return announced.steps.map((step) => eventOf(step, key, signer))
}

function eventOf(step: KeyStep, { jwk }: SigningKey, signer: Signer): LedgerEvent {
  const data = { kid: step.kid, alg: 'ES256', signature: signKey(step, signer) } as const
  switch (step.state) {
    case 'published':
      return { type: 'SigningKeyPublished', data: { ...data, jwk } }
    case 'activated':
      return { type: 'SigningKeyActivated', data }
    case 'retired':
      return { type: 'SigningKeyRetired', data }
  }
}
