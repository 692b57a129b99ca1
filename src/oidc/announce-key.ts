// What is said of signing keys to the ledger, signed by the ledger key.

import type { EventOf, LedgerEvent } from '../domain/ledger/events.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import {
  type FreshKey,
  type KeyPlan,
  type KeyRefusal,
  type KeyStep,
  startPlan,
} from '../domain/ledger/key-changes.js'
import { signKey } from '../domain/ledger/ledger-signature.js'
import type { Signer } from '../domain/ledger/note.js'
import type { SigningKeys } from '../domain/ledger/signing-keys.js'
import type { SigningKey } from './key-file.js'
import { heldKey, type KeyRing } from './key-ring.js'

const NEW_KEY = "move BROKER_OIDC_KEYPAIR_PATH's file away, and a new key is made"

const REMEDY = {
  over: `was retired or revoked and is not taken into use again, under no kid: ${NEW_KEY}`,
  'other-key': `is the kid of another key in the ledger: ${NEW_KEY}`,
  'other-kid': "is in the ledger under another kid: put that kid back into BROKER_OIDC_KEYPAIR_PATH's file",
  'not-the-active':
    'is not the active one, and the brokers of this ledger sign with another key: give this broker the active ' +
    "key's BROKER_OIDC_KEYPAIR_PATH",
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

export interface Announcement {
  events: LedgerEvent[]
  /** The key of which the ledger hears by them, where it does. */
  fresh: SigningKey | undefined
}

/** Turns what was decided into events, with this broker's keys. Nothing may be signed before they are durable. */
export class KeyAnnouncer {
  constructor(
    readonly ring: KeyRing,
    private readonly signer: Signer,
  ) {}

  /**
   * The events of a start: after them a key of this broker is the active one, and another one waits to be the next.
   * `shared`: other brokers write to the ledger too. Throws KeyRefused.
   */
  ofStart(known: SigningKeys, { shared, served }: { shared: boolean; served: number }): LedgerEvent[] {
    const { first } = this.ring
    const others = this.ring.others().map(heldKey)
    const plan = startPlan({ first: heldKey(first), isNew: first.isNew, others, shared, served }, known)
    if ('refused' in plan) throw new KeyRefused(first.kid, plan.refused)
    return this.of(plan, known, '').events
  }

  /** `reason`: of what is revoked. */
  of(plan: KeyPlan, known: SigningKeys, reason: string): Announcement {
    const { ring, signer } = this
    const events = plan.steps.map((step) =>
      step.state === 'published'
        ? published(step, ring.get(step.kid)?.jwk, signer)
        : changed(step, signer, reason),
    )
    const fresh = plan.fresh === 'none' ? undefined : ring.fresh(known)
    if (fresh) events.push(...introduced(fresh, plan.fresh, signer))
    return { events, fresh }
  }
}

function introduced(key: SigningKey, as: FreshKey, signer: Signer): LedgerEvent[] {
  const step = { kid: key.kid, thumbprint: thumbprint(key.jwk) }
  const publication = published({ ...step, state: 'published' }, key.jwk, signer)
  return as === 'activated'
    ? [publication, changed({ ...step, state: 'activated' }, signer, '')]
    : [publication]
}

function published(step: KeyStep, jwk: SigningKey['jwk'] | undefined, signer: Signer): LedgerEvent {
  if (!jwk) throw new Error(`the public half of ${step.kid} is not here`)
  return { type: 'SigningKeyPublished', data: { ...signed(step, signer), jwk } }
}

function changed(step: KeyStep, signer: Signer, reason: string): LedgerEvent {
  const data = signed(step, signer)
  switch (step.state) {
    case 'published':
      throw new Error('a publication needs the public key')
    case 'activated':
      return { type: 'SigningKeyActivated', data }
    case 'retired':
      return { type: 'SigningKeyRetired', data }
    case 'revoked':
      return { type: 'SigningKeyRevoked', data: { ...data, reason } }
  }
}

function signed(step: KeyStep, signer: Signer): EventOf<'SigningKeyActivated'>['data'] {
  return { kid: step.kid, alg: 'ES256', signature: signKey(step, signer) }
}
