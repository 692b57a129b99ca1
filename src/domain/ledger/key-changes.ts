// What is decided of signing keys: what a start announces, and what an operator may change. Each decision is a list of
// steps, appended together or not at all. Time, and what this broker can sign with, come in as arguments.

import type { SignedKeyState } from './ledger-signature.js'
import type { KnownKey, SigningKeys } from './signing-keys.js'

/** A change of a key's state that is to be announced. */
export interface KeyStep {
  kid: string
  thumbprint: string
  state: SignedKeyState
}

/**
 * What becomes of a key that the ledger has not heard of, after the steps: it is published to be used next, or, where no
 * other key can be, published and taken into use at once.
 */
export type FreshKey = 'none' | 'published' | 'activated'

export interface KeyPlan {
  steps: KeyStep[]
  fresh: FreshKey
}

/** So many keys may be in the JWKS. AWS finds none in a set of more than a hundred; relying parties read it whole. */
export const MOST_SERVED = 8

/** A private key of this broker. */
export interface HeldKey {
  kid: string
  thumbprint: string
}

/**
 * over            it was retired or revoked, under this kid or another one
 * other-key       another key was published under its kid
 * other-kid       the same key was published under another kid
 * not-the-active  the ledger's brokers use another one already, and this one was not put here to replace it
 */
export type KeyRefusal = 'over' | 'other-key' | 'other-kid' | 'not-the-active'

export interface KeysAtStart {
  /** Of BROKER_OIDC_KEYPAIR_PATH. */
  first: HeldKey
  /** `first` was made just now, for want of a file. */
  isNew: boolean
  /** The rest of what this broker can sign with. */
  others: readonly HeldKey[]
  /** Other brokers write to the same ledger: a key of one of them cannot be meant to replace theirs by chance. */
  shared: boolean
  /** How many keys are in the JWKS. */
  served: number
}

/** What a start announces: nothing where the active key is here, and another one waits to be the next. */
export function startPlan(at: KeysAtStart, keys: SigningKeys): KeyPlan | { refused: KeyRefusal } {
  const held = [at.first, ...at.others]
  const steps = holdsActive(held, keys) ? [] : firstUse(at, keys)
  if ('refused' in steps) return steps
  const taken = steps.find(({ state }) => state === 'activated')?.kid
  const added = steps.some(({ state }) => state === 'published') ? 1 : 0
  const waits = keys.waiting().some(({ kid }) => kid !== taken)
  return { steps, fresh: waits || at.served + added >= MOST_SERVED ? 'none' : 'published' }
}

function holdsActive(held: readonly HeldKey[], keys: SigningKeys): boolean {
  const active = activeOf(keys)
  return active !== undefined && held.some((key) => isThe(key, active))
}

/** The active key is not here, or there is none: one that is here becomes it. */
function firstUse(at: KeysAtStart, keys: SigningKeys): KeyStep[] | { refused: KeyRefusal } {
  const active = activeOf(keys)
  const { next } = keys
  // A key that relying parties know already is better than one made just now.
  const known = next && at.isNew && !at.shared && at.others.some((key) => isThe(key, next))
  const { kid, thumbprint } = known ? next : at.first
  const [byKid, firstKid] = [keys.get(kid), keys.kidOf(thumbprint)]
  const first = firstKid === undefined ? undefined : keys.get(firstKid)
  if (byKid && byKid.thumbprint !== thumbprint) return { refused: 'other-key' }
  if (isOver(byKid) || isOver(first)) return { refused: 'over' }
  if (first && first.kid !== kid) return { refused: 'other-kid' }
  if (active && at.shared && (at.isNew || byKid)) return { refused: 'not-the-active' }
  const steps: KeyStep[] = byKid ? [] : [{ kid, thumbprint, state: 'published' }]
  steps.push({ kid, thumbprint, state: 'activated' })
  if (active) steps.push(step(active, 'retired'))
  return steps
}

export type KeyCommand =
  | { kind: 'rotate'; emergency: boolean }
  | { kind: 'retire'; kid: string }
  | { kind: 'revoke'; kid: string; emergency: boolean }

/** What a command is decided by. */
export interface KeysNow {
  /** Unix ms. */
  at: number
  /** How long a relying party may keep its copy of the JWKS. */
  publishAheadMs: number
  /** When each key was published, unix ms. */
  publishedAt: (kid: string) => number
  /** How many keys are in the JWKS. */
  served: number
  /** When the next retired key leaves the JWKS, unix ms. Infinity: none will. */
  leavesAt: number
  /** What this broker can sign with. */
  held: readonly HeldKey[]
}

/**
 * no-such-key  no entry publishes the kid
 * not-ready    it cannot be done now; `detail` says when, or what to do first
 */
export interface ChangeRefused {
  reason: 'no-such-key' | 'not-ready'
  detail: string
}

export function changePlan(
  command: KeyCommand,
  keys: SigningKeys,
  now: KeysNow,
): KeyPlan | { refused: ChangeRefused } {
  switch (command.kind) {
    case 'rotate':
      return rotation(command.emergency, keys, now)
    case 'retire':
      return ofOne(command.kid, keys, (key) => retirement(key, keys))
    case 'revoke':
      return ofOne(command.kid, keys, (key) => revocation(key, command.emergency, { keys, now }))
  }
}

type Decided = KeyPlan | { refused: ChangeRefused }

function rotation(emergency: boolean, keys: SigningKeys, now: KeysNow): Decided {
  const active = activeOf(keys)
  if (!active) return notReady('no key is active: restart the broker with one')
  const isFull = now.served >= MOST_SERVED
  const { next } = keys
  if (!next || !now.held.some((key) => isThe(key, next))) {
    if (!emergency || isFull) return notReady(`${nextMissing(keys)} or use --emergency: ${AT_ONCE}`)
    return { steps: [step(active, 'retired')], fresh: 'activated' }
  }
  const possible = now.publishedAt(next.kid) + now.publishAheadMs
  if (!emergency && now.at < possible)
    return notReady(
      `the next key, ${next.kid}, is not published for long enough: possible from ${timeOf(possible)}. ` +
        `A relying party may keep an older JWKS until then; --emergency does not wait`,
    )
  if (!emergency && isFull) return notReady(full(now.leavesAt))
  const steps = [step(next, 'activated'), step(active, 'retired')]
  return { steps, fresh: isFull ? 'none' : replacement(keys, next.kid) }
}

function retirement(key: KnownKey, keys: SigningKeys): Decided {
  if (isOver(key)) return notReady(`${key.kid} is ${key.state} already`)
  if (key.kid === keys.activeKid) return notReady(`${key.kid} is the active key: "keys rotate" retires it`)
  return { steps: [step(key, 'retired')], fresh: replacement(keys, key.kid) }
}

/** The key that takes over is known to relying parties already: a stolen key ends without a gap. */
function revocation(
  key: KnownKey,
  emergency: boolean,
  { keys, now }: { keys: SigningKeys; now: KeysNow },
): Decided {
  if (key.state === 'revoked') return notReady(`${key.kid} is revoked already`)
  const revoked = step(key, 'revoked')
  if (key.kid !== keys.activeKid) return { steps: [revoked], fresh: replacement(keys, key.kid) }
  const { next } = keys
  if (next && now.held.some((held) => isThe(held, next)))
    return { steps: [revoked, step(next, 'activated')], fresh: replacement(keys, next.kid) }
  if (!emergency) return notReady(`${nextMissing(keys)} or use --emergency: ${AT_ONCE}`)
  return { steps: [revoked], fresh: 'activated' }
}

/** A key is published in the place of `kid` where no other one waits. */
function replacement(keys: SigningKeys, kid: string): FreshKey {
  const waiting = keys.waiting()
  return waiting.some((key) => key.kid === kid) && waiting.length === 1 ? 'published' : 'none'
}

function ofOne(kid: string, keys: SigningKeys, decide: (key: KnownKey) => Decided): Decided {
  const key = keys.get(kid)
  return key
    ? decide(key)
    : { refused: { reason: 'no-such-key', detail: 'no entry of the ledger publishes a key of this kid' } }
}

const AT_ONCE =
  'a key made now signs at once, and relying parties with an older JWKS refuse its tokens until they read it again'

function nextMissing({ next }: SigningKeys): string {
  return next
    ? `the private key of ${next.kid}, the next one, is not at this broker: ask one that holds it, or copy its file here,`
    : 'no key is published to be the next: see that BROKER_OIDC_KEYPAIR_PATH is in a folder that can be written, and restart,'
}

function full(leavesAt: number): string {
  const when = Number.isFinite(leavesAt) ? `the next one leaves at ${timeOf(leavesAt)}` : 'retire one first'
  return `the JWKS holds ${MOST_SERVED} keys, and a rotation adds one: ${when}`
}

/** Whether the ledger is still as it was when the plan was made: decided where the plan is appended. */
export function sameKeys(a: SigningKeys, b: SigningKeys): boolean {
  // What the ledger key has not signed counts for nothing, and is not in every copy.
  const states = (keys: SigningKeys) =>
    keys.all().flatMap(({ kid, state, signed }) => (signed ? `${kid} ${state}` : []))
  return states(a).sort().join('\n') === states(b).sort().join('\n')
}

export function activeOf(keys: SigningKeys): KnownKey | undefined {
  return keys.activeKid === undefined ? undefined : keys.get(keys.activeKid)
}

export function isOver(key: Pick<KnownKey, 'state'> | undefined): boolean {
  return key?.state === 'retired' || key?.state === 'revoked'
}

function isThe(held: HeldKey, key: KnownKey): boolean {
  return held.kid === key.kid && held.thumbprint === key.thumbprint
}

function step({ kid, thumbprint }: HeldKey, state: SignedKeyState): KeyStep {
  return { kid, thumbprint, state }
}

function notReady(detail: string): { refused: ChangeRefused } {
  return { refused: { reason: 'not-ready', detail } }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
