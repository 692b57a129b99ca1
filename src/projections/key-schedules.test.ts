// Random schedules of several brokers, and a relying party whose copy of the JWKS is up to a day old: every token verifies
// for its whole life. What an emergency cannot keep is in `earliestCopy`, and nowhere else.

import { afterAll, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'
import fc from 'fast-check'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { SIGNATURES } from '../../test/support/ledger-signer.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import {
  changePlan,
  type HeldKey,
  type KeyCommand,
  type KeyPlan,
  MOST_SERVED,
  sameKeys,
  startPlan,
} from '../domain/ledger/key-changes.js'
import { ProtocolChecker } from '../domain/ledger/protocol-rules.js'
import { keysAfter, SigningKeys } from '../domain/ledger/signing-keys.js'
import { JWT_TTL } from '../domain/mint.js'
import type { Recorded } from './projection.js'
import { KeysView, type SigningKeyRow, signingKeys } from './signing-keys.js'

const DAY = 86_400_000
const SKEW_MS = 300_000
const BROKERS = 3
const FIRST = 'key-0'

interface Token {
  kid: string
  iat: number
  /** Until when a relying party may accept it. */
  until: number
}

type Step =
  | { do: 'wait'; ms: number }
  | { do: 'mint'; by: number; ttl: number }
  | { do: 'start'; by: number }
  | { do: 'copy-files'; to: number }
  | { do: 'rotate'; by: number; emergency: boolean }
  | { do: 'race'; emergency: boolean }
  | { do: 'retire' | 'revoke'; by: number; nth: number; emergency: boolean }

/** A ledger, its JWKS at every moment, and brokers that each have some of the private keys. */
class World {
  readonly db = new Sqlite(':memory:')
  /** The entries of an append have one time. */
  readonly ledger = new LedgerBuilder(1, 0).open()
  readonly tokens: Token[] = []
  /** The rows of the keys from each moment on. */
  readonly history: { from: number; rows: SigningKeyRow[] }[] = []
  planned = 0
  private now = this.ledger.now.getTime() + 1000
  private keys = new SigningKeys(SIGNATURES)
  private readonly apply: (event: Recorded) => void
  private readonly held = Array.from({ length: BROKERS }, () => new Set([FIRST]))
  private made = 1

  constructor() {
    this.db.exec(signingKeys.schema)
    this.apply = signingKeys.prepare(this.db)
    for (let by = 0; by < BROKERS; by += 1) this.start(by)
  }

  take(step: Step): void {
    switch (step.do) {
      case 'wait':
        this.now += step.ms
        return
      case 'mint':
        return this.mint(step.by, step.ttl)
      case 'start':
        return this.start(step.by)
      case 'copy-files':
        for (const each of this.held) for (const kid of each) this.held[step.to]!.add(kid)
        return
      case 'rotate':
        return this.change(step.by, { kind: 'rotate', emergency: step.emergency })
      case 'race':
        return this.race({ kind: 'rotate', emergency: step.emergency })
      case 'retire':
      case 'revoke': {
        const all = this.keys.all()
        const { kid } = all[step.nth % all.length]!
        return this.change(step.by, { kind: step.do, kid, emergency: step.emergency })
      }
    }
  }

  /** A broker that lacks the active key mints nothing. */
  private mint(by: number, ttl: number): void {
    const { activeKid: kid } = this.keys
    if (kid === undefined || !this.held[by]!.has(kid)) return
    this.tokens.push({ kid, iat: this.now, until: this.now + ttl * 1000 + SKEW_MS })
  }

  private start(by: number): void {
    const [first, ...others] = this.heldBy(by)
    const at = { first: first!, isNew: false, others, shared: true, served: this.served() }
    const plan = startPlan(at, this.keys)
    if (!('refused' in plan)) this.append(by, plan)
  }

  private change(by: number, command: KeyCommand): void {
    const plan = this.decided(by, command)
    if (plan) this.append(by, plan)
  }

  /** Two brokers decide by the same entries: what the second one decided is not appended behind the first. */
  private race(command: KeyCommand): void {
    const [before, plans] = [this.keys, [0, 1].map((by) => this.decided(by, command))]
    for (const [by, plan] of plans.entries()) if (plan && sameKeys(before, this.keys)) this.append(by, plan)
  }

  private decided(by: number, command: KeyCommand): KeyPlan | undefined {
    const published = new Map(this.rows().map((row) => [row.kid, Date.parse(row.published_at)]))
    const plan = changePlan(command, this.keys, {
      at: this.now,
      publishAheadMs: DAY,
      publishedAt: (kid) => published.get(kid) ?? Infinity,
      served: this.served(),
      leavesAt: Infinity,
      held: this.heldBy(by),
    })
    if ('refused' in plan) return undefined
    if (command.kind === 'rotate' && !command.emergency) this.planned += 1
    return plan
  }

  private append(by: number, { steps, fresh }: KeyPlan): void {
    const { ledger } = this
    const from = ledger.entries.length
    ledger.now = new Date(Math.max(this.now, ledger.now.getTime()))
    for (const { kid, state } of steps) {
      if (state === 'published') ledger.publishKey(kid)
      else if (state === 'activated') ledger.activateKey(kid)
      else if (state === 'retired') ledger.retireKey(kid)
      else ledger.revokeKey(kid)
    }
    if (fresh !== 'none') {
      const kid = `key-${this.made++}`
      this.held[by]!.add(kid)
      ledger.publishKey(kid)
      if (fresh === 'activated') ledger.activateKey(kid)
    }
    const added = ledger.entries.slice(from)
    if (added.length === 0) return
    this.keys = keysAfter(this.keys, added)
    for (const { entry } of added) this.apply(entry as unknown as Recorded)
    this.history.push({ from: ledger.now.getTime(), rows: this.rows() })
    this.now = ledger.now.getTime() + 1
  }

  private heldBy(by: number): HeldKey[] {
    return [...this.held[by]!].map((kid) => ({ kid, thumbprint: thumbprint(this.ledger.jwk(kid)) }))
  }

  private rows(): SigningKeyRow[] {
    return this.db.prepare<[], SigningKeyRow>('SELECT * FROM signing_keys ORDER BY published_index').all()
  }

  private served(): number {
    return kidsServed(this.rows(), [this.now])[0]!.length
  }
}

/** The kids in the JWKS at each of `times`, which are in order. */
function kidsServed(rows: readonly SigningKeyRow[], times: readonly number[]): string[][] {
  let now = 0
  const view = new KeysView(() => new Date(now), SIGNATURES, DAY)
  view.show(rows)
  return times.map((time) => {
    now = time
    return view.jwks().keys.map(({ kid }) => kid)
  })
}

/**
 * The oldest copy of the JWKS that has to hold the token's key: a day old, as the relying party keeps it. Not so where the
 * key was taken into use less than a day after its publication, in an emergency: no copy from before can hold it.
 */
function earliestCopy({ kid, iat }: Token, rows: readonly SigningKeyRow[], start: number): number {
  const { published_at, activated_at } = rows.find((row) => row.kid === kid)!
  const published = Date.parse(published_at)
  const early = Date.parse(activated_at!) - published < DAY
  return Math.max(start, early ? published : 0, iat - DAY)
}

/** A revoked key is to verify nothing any more. */
function latestCopy({ kid, until }: Token, rows: readonly SigningKeyRow[]): number {
  const { revoked_at } = rows.find((row) => row.kid === kid)!
  return revoked_at === null ? until : Math.min(until, Date.parse(revoked_at) - 1)
}

/** Tokens of which some copy, not too old, has not the key. */
function unverified({ tokens, history }: World): object[] {
  const start = history[0]!.from
  const { rows } = history.at(-1)!
  return tokens.flatMap((token) => {
    const [from, to] = [earliestCopy(token, rows, start), latestCopy(token, rows)]
    return history.flatMap((moment, i) => {
      const until = (history[i + 1]?.from ?? Infinity) - 1
      const [begin, end] = [Math.max(from, moment.from), Math.min(to, until)]
      if (begin > end) return []
      const copies = kidsServed(moment.rows, [begin, Math.floor((begin + end) / 2), end])
      return copies.some((kids) => !kids.includes(token.kid)) ? [{ token, begin, end, copies }] : []
    })
  })
}

const by = fc.nat(BROKERS - 1)
const wait = fc.record({ do: fc.constant('wait' as const), ms: fc.nat(1.25 * DAY) })
const mint = fc.record({
  do: fc.constant('mint' as const),
  by,
  ttl: fc.integer({ min: JWT_TTL.min, max: JWT_TTL.max }),
})
const start = fc.record({ do: fc.constant('start' as const), by })
const copy = fc.record({ do: fc.constant('copy-files' as const), to: by })
const rotate = (emergency: fc.Arbitrary<boolean>) =>
  fc.record({ do: fc.constant('rotate' as const), by, emergency })
const race = (emergency: fc.Arbitrary<boolean>) => fc.record({ do: fc.constant('race' as const), emergency })
const ofOne = fc.record({
  do: fc.constantFrom('retire' as const, 'revoke' as const),
  by,
  nth: fc.nat(20),
  emergency: fc.boolean(),
})

const CALM = fc.constant(false)
const planned: fc.Arbitrary<Step> = fc.oneof(wait, wait, mint, mint, copy, start, rotate(CALM), race(CALM))
const anything: fc.Arbitrary<Step> = fc.oneof(
  ...[wait, wait, mint, mint, mint, copy, start, ofOne, ofOne],
  ...[rotate(fc.boolean()), race(fc.boolean())],
)
const schedule = (steps: fc.Arbitrary<Step>) => fc.array(steps, { minLength: 20, maxLength: 50 })

function run(steps: readonly Step[]): World {
  const world = new World()
  for (const step of steps) world.take(step)
  world.db.close()
  return world
}

function expectKept(world: World): void {
  expect(unverified(world)).toEqual([])
  for (const { from, rows } of world.history)
    expect(kidsServed(rows, [from])[0]!.length).toBeLessThanOrEqual(MOST_SERVED)
  const findings: unknown[] = []
  const rules = new ProtocolChecker((finding) => findings.push(finding))
  for (const { entry } of world.ledger.entries) rules.take(entry)
  rules.end()
  expect(findings).toEqual([])
}

let [rotations, tokens] = [0, 0]
afterAll(() => {
  // A model in which nothing happens would show nothing.
  expect({ rotated: rotations > 20, minted: tokens > 200 }).toEqual({ rotated: true, minted: true })
})

test('of planned rotations: every token verifies for its whole life, with a copy of any age up to a day', () => {
  fc.assert(
    fc.property(schedule(planned), (steps) => {
      const world = run(steps)
      rotations += world.planned
      tokens += world.tokens.length
      expectKept(world)
      for (const { kid, published_at, activated_at } of world.history.at(-1)!.rows)
        if (kid !== FIRST && activated_at !== null)
          expect(Date.parse(activated_at) - Date.parse(published_at)).toBeGreaterThanOrEqual(DAY)
    }),
    { numRuns: 60 },
  )
})

test('with emergencies: the same, but for copies from before the publication of a key that signs early', () => {
  fc.assert(
    fc.property(schedule(anything), (steps) => expectKept(run(steps))),
    { numRuns: 60 },
  )
})

test('a revocation has no gap: Next was in every copy, and only the tokens of the stolen key end', () => {
  const world = run([
    { do: 'copy-files', to: 1 },
    { do: 'wait', ms: DAY },
    { do: 'mint', by: 0, ttl: 3600 },
    { do: 'revoke', by: 0, nth: 0, emergency: false },
    { do: 'mint', by: 1, ttl: 3600 },
  ])
  expect(world.tokens.map(({ kid }) => kid)).toEqual([FIRST, 'key-1'])
  const { rows } = world.history.at(-1)!
  // A whole day back, as without an emergency.
  expect(earliestCopy(world.tokens[1]!, rows, 0)).toBe(world.tokens[1]!.iat - DAY)
  expectKept(world)
})
