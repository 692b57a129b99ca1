// What the ledger says of the issuer's keys at its head: nothing may be chained there that contradicts it.

import type { Sealed } from '../domain/ledger/entry.js'
import type { AnyEvent, LedgerEvent } from '../domain/ledger/events.js'

type KeyState = 'published' | 'active' | 'over'

/** Immutable: one for each point of the ledger. */
export class KeyStates {
  private constructor(
    private readonly states: ReadonlyMap<string, KeyState>,
    readonly activeKid: string | undefined,
  ) {}

  static of(known: readonly { kid: string; over: boolean }[], activeKid: string | undefined): KeyStates {
    const state = (kid: string, over: boolean): KeyState =>
      over ? 'over' : kid === activeKid ? 'active' : 'published'
    return new KeyStates(new Map(known.map(({ kid, over }) => [kid, state(kid, over)])), activeKid)
  }

  after({ type, data }: AnyEvent): KeyStates {
    const kid = data['kid'] as string
    switch (type) {
      case 'SigningKeyPublished':
        return this.states.has(kid) ? this : this.with(kid, 'published', this.activeKid)
      case 'SigningKeyActivated':
        return this.with(kid, 'active', kid)
      case 'SigningKeyRetired':
      case 'SigningKeyRevoked':
        return this.with(kid, 'over', this.activeKid === kid ? undefined : this.activeKid)
      default:
        return this
    }
  }

  isPublished(kid: string): boolean {
    return this.states.has(kid)
  }

  /** Retired or revoked. */
  isOver(kid: string): boolean {
    return this.states.get(kid) === 'over'
  }

  private with(kid: string, state: KeyState, activeKid: string | undefined): KeyStates {
    return new KeyStates(new Map([...this.states, [kid, state]]), activeKid)
  }
}

/**
 * Why `events` must not follow, or undefined. Decided where they are chained, since another broker may have changed the
 * keys after they were made: a JwtIssued under a key that is not the active one would be a finding for ever.
 */
export function keyProblem(
  events: readonly LedgerEvent[],
  at: KeyStates,
): 'keys-changed' | 'key-not-active' | undefined {
  let keys = at
  for (const event of events) {
    if (event.type === 'JwtIssued' && event.data.kid !== keys.activeKid) return 'key-not-active'
    if (event.type === 'SigningKeyPublished' && keys.isPublished(event.data.kid)) return 'keys-changed'
    if (event.type === 'SigningKeyActivated') {
      const { kid } = event.data
      if (keys.isOver(kid) || keys.activeKid === kid) return 'keys-changed'
      // Exactly one key is active: whoever takes the next one into use says in the same breath what becomes of the last.
      if (keys.activeKid !== undefined && !events.some((other) => ends(other, keys.activeKid as string)))
        return 'keys-changed'
    }
    if (event.type === 'SigningKeyRetired' && keys.isOver(event.data.kid)) return 'keys-changed'
    keys = keys.after(event as unknown as AnyEvent)
  }
  return undefined
}

function ends(event: LedgerEvent, kid: string): boolean {
  return (event.type === 'SigningKeyRetired' || event.type === 'SigningKeyRevoked') && event.data.kid === kid
}

/** As they are after `entries`; undefined where they are not known. */
export function keysAfter(keys: KeyStates | undefined, entries: readonly Sealed[]): KeyStates | undefined {
  return keys && entries.reduce((known, { entry }) => known.after(entry), keys)
}
