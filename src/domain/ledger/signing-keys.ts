// The life of a signing key: what the ledger says of the issuer's keys, and what may be said next. The sequencer, the
// JWKS, the verifier and the decisions of key-changes.ts all ask here.

import type { Entry } from './entry.js'
import type { AdoptedKey, EventOf, LedgerEvent } from './events.js'
import type { MeaningProblem } from './findings.js'
import { thumbprint } from './jwk.js'
import type { LedgerSignatures, SignedKeyState } from './ledger-signature.js'
import { isEventType, schemaProblem } from './event-schemas.js'

/** published → active → superseded or retired; revoked from any of them, and for good. Published and unused: Next. */
export type KeyState = 'published' | 'active' | 'superseded' | 'retired' | 'revoked'

export interface KnownKey {
  kid: string
  /** RFC 7638: which key it is. The kid is only what it is called. */
  thumbprint: string
  state: KeyState
  /** Whether the ledger key has signed this state. Without that any program that can append may have said it. */
  signed: boolean
  /** The index of the first entry about it that the ledger key has not signed, until LedgerAdopted vouches for it. */
  unsignedAt?: number
}

export type KeyEvent = EventOf<
  'SigningKeyPublished' | 'SigningKeyActivated' | 'SigningKeyRetired' | 'SigningKeyRevoked' | 'LedgerAdopted'
>

export interface KeyProblem {
  kind: Extract<
    MeaningProblem,
    'wrong-shape' | 'key-unpublished' | 'key-out-of-turn' | 'key-reused' | 'too-many-keys'
  >
  detail: string
}

const MAX_KEYS = 10_000

export function isKeyEvent(event: LedgerEvent): event is KeyEvent {
  return isOfKeys(event.type)
}

export function isOfKeys(type: string): type is KeyEvent['type'] {
  return isEventType(type) && (type.startsWith('SigningKey') || type === 'LedgerAdopted')
}

/** What is signed of a state: that a key was superseded follows from the activation of the next one. */
export function signedStateOf(state: KeyState): SignedKeyState {
  return state === 'active' || state === 'superseded' ? 'activated' : state
}

export class SigningKeys {
  private readonly keys = new Map<string, KnownKey>()
  /** The first kid of each key. */
  private readonly kids = new Map<string, string>()
  private active: string | undefined

  /** `signatures` undefined: the ledger's key is not known, and every state counts as signed. */
  constructor(
    private readonly signatures: LedgerSignatures | undefined,
    known: Iterable<KnownKey> = [],
  ) {
    for (const key of known) this.put(key)
  }

  get(kid: string): KnownKey | undefined {
    return this.keys.get(kid)
  }

  /** The kid under which this very key was published first. */
  kidOf(keyThumbprint: string): string | undefined {
    return this.kids.get(keyThumbprint)
  }

  /** The kid of the one key that may sign, if the ledger key has signed its activation. */
  get activeKid(): string | undefined {
    const key = this.active === undefined ? undefined : this.keys.get(this.active)
    return key?.signed ? key.kid : undefined
  }

  /** The key that is to be the active one next: of those that wait for their first use, the one published first. */
  get next(): KnownKey | undefined {
    return this.waiting()[0]
  }

  /** Published, signed by the ledger key, and not taken into use yet. */
  waiting(): KnownKey[] {
    return this.all().filter(({ state, signed }) => state === 'published' && signed)
  }

  all(): KnownKey[] {
    return [...this.keys.values()]
  }

  copy(): SigningKeys {
    return new SigningKeys(this.signatures, this.keys.values())
  }

  /** Why a ledger must not say this here. */
  problem(event: KeyEvent): KeyProblem | undefined {
    switch (event.type) {
      case 'SigningKeyPublished':
        return this.publicationProblem(event.data)
      case 'SigningKeyActivated':
        return this.changeProblem(event.data.kid, ['retired', 'revoked'], 'activated')
      case 'SigningKeyRetired':
        return this.changeProblem(event.data.kid, ['retired', 'revoked'], 'retired')
      case 'SigningKeyRevoked':
        // A retired key may turn out to be stolen, and be revoked.
        return this.changeProblem(event.data.kid, ['revoked'], 'revoked')
      case 'LedgerAdopted':
        return undefined
    }
  }

  /**
   * The event is in the ledger, at `index`. What cannot be is left out, so that one bad entry spoils none behind it:
   * whether it counts.
   */
  take(event: KeyEvent, index: number): boolean {
    const problem = this.problem(event)
    if (problem && problem.kind !== 'key-reused' && problem.kind !== 'wrong-shape') return false
    this.evolve(event, index)
    return true
  }

  private evolve(event: KeyEvent, index: number): void {
    switch (event.type) {
      case 'SigningKeyPublished': {
        const { kid, jwk, signature } = event.data
        return this.put(
          this.changed({ kid, thumbprint: thumbprint(jwk), state: 'published' }, signature, index),
        )
      }
      case 'SigningKeyActivated':
        return this.change(event.data, 'active', index)
      case 'SigningKeyRetired':
        return this.change(event.data, 'retired', index)
      case 'SigningKeyRevoked':
        return this.change(event.data, 'revoked', index)
      case 'LedgerAdopted':
        for (const adopted of event.data.keys) this.adopt(adopted)
    }
  }

  private publicationProblem({ kid, jwk }: EventOf<'SigningKeyPublished'>['data']): KeyProblem | undefined {
    if (this.keys.has(kid)) return { kind: 'key-out-of-turn', detail: 'the kid is published a second time' }
    if (this.keys.size >= MAX_KEYS)
      return { kind: 'too-many-keys', detail: `more than ${MAX_KEYS} keys are published` }
    if (jwk.kid !== kid) return { kind: 'wrong-shape', detail: 'SigningKeyPublished: jwk.kid must be kid' }
    return this.kids.has(thumbprint(jwk))
      ? { kind: 'key-reused', detail: 'the same key was published before, under another kid' }
      : undefined
  }

  private changeProblem(kid: string, over: readonly KeyState[], change: string): KeyProblem | undefined {
    const state = this.keys.get(kid)?.state
    if (state === undefined)
      return { kind: 'key-unpublished', detail: 'no entry before this one publishes the kid' }
    return over.includes(state)
      ? { kind: 'key-out-of-turn', detail: `a key is ${change} that is ${state} already` }
      : undefined
  }

  private change(
    { kid, signature }: { kid: string; signature?: string },
    state: KeyState,
    index: number,
  ): void {
    const key = this.keys.get(kid)
    if (!key) return
    const before = this.active === undefined ? undefined : this.keys.get(this.active)
    if (state === 'active' && before && before.kid !== kid) this.put({ ...before, state: 'superseded' })
    this.put(this.changed({ ...key, state }, signature, index))
  }

  private changed(key: Omit<KnownKey, 'signed'>, signature: string | undefined, index: number): KnownKey {
    const signed = this.isSigned(key, signature)
    return signed ? { ...key, signed } : { ...key, signed, unsignedAt: key.unsignedAt ?? index }
  }

  private adopt({ kid, state: adopted, signature }: AdoptedKey): void {
    const known = this.keys.get(kid)
    if (!known || signedStateOf(known.state) !== adopted || !this.isSigned(known, signature)) return
    const { thumbprint: which, state } = known
    this.put({ kid, thumbprint: which, state, signed: true })
  }

  private put(key: KnownKey): void {
    this.keys.set(key.kid, key)
    if (!this.kids.has(key.thumbprint)) this.kids.set(key.thumbprint, key.kid)
    if (key.state === 'active') this.active = key.kid
    else if (this.active === key.kid) this.active = undefined
  }

  private isSigned(key: Omit<KnownKey, 'signed'>, signature: string | undefined): boolean {
    if (!this.signatures) return true
    const { kid, thumbprint: which } = key
    const state = signedStateOf(key.state)
    return signature !== undefined && this.signatures.isOfKey({ kid, thumbprint: which, state }, signature)
  }
}

/** As they are after `entries`: the same object where none of them is about keys. */
export function keysAfter(keys: SigningKeys, entries: readonly { entry: Entry }[]): SigningKeys {
  let after = keys
  for (const { entry } of entries) {
    if (!isOfKeys(entry.type) || schemaProblem(entry.type, entry.data)) continue
    if (after === keys) after = keys.copy()
    after.take(entry as unknown as KeyEvent, entry.index)
  }
  return after
}

/** Decided where events are chained, since another broker may have changed the keys after they were made. */
export type AppendProblem = 'keys-changed' | 'key-not-active'

/** Why `events` must not follow where the keys are as in `at`, or undefined. */
export function appendProblem(events: readonly LedgerEvent[], at: SigningKeys): AppendProblem | undefined {
  let keys = at
  for (const event of events) {
    // A JWT under a key that is not the active one would be a finding for ever.
    if (event.type === 'JwtIssued' && event.data.kid !== keys.activeKid) return 'key-not-active'
    if (!isKeyEvent(event)) continue
    if (
      keys.problem(event) ||
      (event.type === 'SigningKeyActivated' && leavesTwo(event.data.kid, events, keys))
    )
      return 'keys-changed'
    if (keys === at) keys = at.copy()
    keys.take(event, 0)
  }
  return undefined
}

/** Exactly one key is active: what takes the next one into use also says what becomes of the last. */
function leavesTwo(kid: string, events: readonly LedgerEvent[], { activeKid }: SigningKeys): boolean {
  if (activeKid === undefined) return false
  return kid === activeKid || !events.some((event) => ends(event, activeKid))
}

function ends(event: LedgerEvent, kid: string): boolean {
  return (event.type === 'SigningKeyRetired' || event.type === 'SigningKeyRevoked') && event.data.kid === kid
}
