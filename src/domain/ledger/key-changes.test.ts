import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../../test/support/ledger-builder.js'
import { SIGNATURES } from '../../../test/support/ledger-signer.js'
import { thumbprint } from './jwk.js'
import {
  changePlan,
  type KeyCommand,
  type KeyPlan,
  type KeysNow,
  MOST_SERVED,
  sameKeys,
  startPlan,
} from './key-changes.js'
import { appendProblem, keysAfter, SigningKeys } from './signing-keys.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const PUBLISHED = Date.parse('2026-11-20T12:00:00.000Z')

function after(tell: (ledger: LedgerBuilder) => unknown) {
  const ledger = new LedgerBuilder().open()
  tell(ledger)
  const key = (kid: string, of = kid) => ({ kid, thumbprint: thumbprint(ledger.jwk(of)) })
  return { ledger, key, keys: keysAfter(new SigningKeys(SIGNATURES), ledger.entries) }
}

/** `a` is active, and `n` is the next one. */
const usual = () => after((l) => l.publishKey('a').activateKey().publishKey('n'))

function shown(plan: KeyPlan | { refused: unknown }): unknown {
  if ('refused' in plan) return plan.refused
  const steps = plan.steps.map(({ kid, state }) => `${kid} ${state}`)
  return plan.fresh === 'none' ? steps : [...steps, `fresh ${plan.fresh}`]
}

describe('what a start announces', () => {
  const { key, keys } = after((l) =>
    l.publishKey('a').activateKey().publishKey('b').activateKey().retireKey('a'),
  )
  const start = { isNew: false, others: [], shared: false, served: 1 }

  test.each([
    ['only a next key, where the active one is here', { first: key('b') }, ['fresh published']],
    [
      'a new key, and the end of the last one',
      { first: key('c') },
      ['c published', 'c activated', 'b retired', 'fresh published'],
    ],
    ['a retired key: refused', { first: key('a') }, 'over'],
    ['a retired key under a new kid: refused', { first: key('c', 'a') }, 'over'],
    ['the active key under a new kid: refused', { first: key('c', 'b') }, 'other-kid'],
    ['another key under a kid that is known: refused', { first: key('b', 'c') }, 'other-key'],
    [
      'a key that was made for want of a file, where brokers use another: refused',
      { first: key('c'), isNew: true, shared: true },
      'not-the-active',
    ],
    [
      'nothing of a retired first key, where the folder has the active one',
      { first: key('a'), others: [key('b')] },
      ['fresh published'],
    ],
    ['no ninth key', { first: key('b'), served: MOST_SERVED }, []],
  ])('%s', (_, at, expected) => {
    expect(shown(startPlan({ ...start, ...at }, keys))).toEqual(expected)
  })

  const waiting = usual()
  test.each([
    ['nothing where the active key is here and another one waits', { first: waiting.key('a') }, []],
    [
      'the next key, where the active one is lost',
      { first: waiting.key('z'), isNew: true, others: [waiting.key('n')] },
      ['n activated', 'a retired', 'fresh published'],
    ],
    [
      'not the next key where other brokers have the active one: refused',
      { first: waiting.key('n'), shared: true },
      'not-the-active',
    ],
  ])('%s', (_, at, expected) => {
    expect(shown(startPlan({ ...start, served: 2, ...at }, waiting.keys))).toEqual(expected)
  })

  test('the first key and a next one, on an empty ledger', () => {
    const { key: empty, keys: none } = after(() => undefined)
    expect(shown(startPlan({ ...start, served: 0, first: empty('a') }, none))).toEqual([
      'a published',
      'a activated',
      'fresh published',
    ])
  })
})

describe('what an operator may change', () => {
  const { key, keys } = after((l) =>
    l.publishKey('old').activateKey().publishKey('a').activateKey().retireKey('old').publishKey('n'),
  )
  const now: KeysNow = {
    at: PUBLISHED + DAY,
    publishAheadMs: DAY,
    publishedAt: () => PUBLISHED,
    served: 3,
    leavesAt: PUBLISHED + 25 * HOUR,
    held: [key('a'), key('n')],
  }
  const rotate = { kind: 'rotate', emergency: false } as const
  const urgent = { kind: 'rotate', emergency: true } as const
  const revoke = (kid: string, emergency = false) => ({ kind: 'revoke', kid, emergency }) as const
  const notReady = (detail: string) => ({
    reason: 'not-ready',
    detail: expect.stringContaining(detail) as unknown,
  })

  const CASES: [string, KeyCommand, Partial<KeysNow>, unknown][] = [
    [
      'a rotation, a day after Next was published',
      rotate,
      {},
      ['n activated', 'a retired', 'fresh published'],
    ],
    [
      'no rotation a millisecond earlier, and from when on',
      rotate,
      { at: PUBLISHED + DAY - 1 },
      notReady('possible from 2026-11-21T12:00:00.000Z'),
    ],
    ['an emergency at once', urgent, { at: PUBLISHED }, ['n activated', 'a retired', 'fresh published']],
    ['no ninth key in the JWKS', rotate, { served: 8 }, notReady('leaves at 2026-11-21T13:00:00.000Z')],
    [
      'an emergency with a full JWKS, without a new Next',
      urgent,
      { served: 8 },
      ['n activated', 'a retired'],
    ],
    ['no rotation to a key that is not here', rotate, { held: [key('a')] }, notReady('not at this broker')],
    [
      'an emergency without Next at hand: a key made now',
      urgent,
      { held: [key('a')] },
      ['a retired', 'fresh activated'],
    ],
    ['the end of Next, and another one', { kind: 'retire', kid: 'n' }, {}, ['n retired', 'fresh published']],
    ['no end of the active key', { kind: 'retire', kid: 'a' }, {}, notReady('"keys rotate" retires it')],
    ['no second end', { kind: 'retire', kid: 'old' }, {}, notReady('retired already')],
    [
      'no key of another name',
      { kind: 'retire', kid: 'x' },
      {},
      { reason: 'no-such-key', detail: expect.any(String) },
    ],
    [
      'a stolen active key: Next takes over',
      revoke('a'),
      { at: 0 },
      ['a revoked', 'n activated', 'fresh published'],
    ],
    ['a stolen Next: another one', revoke('n'), {}, ['n revoked', 'fresh published']],
    ['a retired key that was stolen', revoke('old'), {}, ['old revoked']],
    ['a stolen key, and Next elsewhere', revoke('a'), { held: [key('a')] }, notReady('--emergency')],
    ['the same, in an emergency', revoke('a', true), { held: [key('a')] }, ['a revoked', 'fresh activated']],
  ]
  test.each(CASES)('%s', (_, command, change, expected) => {
    expect(shown(changePlan(command, keys, { ...now, ...change }))).toEqual(expected)
  })

  test('without a key that waits, a rotation is refused and an emergency makes one', () => {
    const alone = after((l) => l.publishKey('a').activateKey())
    expect(shown(changePlan(rotate, alone.keys, now))).toEqual(notReady('no key is published to be the next'))
    expect(shown(changePlan(urgent, alone.keys, now))).toEqual(['a retired', 'fresh activated'])
  })

  test('of two brokers that rotate at once the second is refused where events are chained', () => {
    const first = usual()
    const rotated = after((l) => l.publishKey('a').activateKey().publishKey('n').activateKey().retireKey('a'))
    expect(sameKeys(first.keys, usual().keys)).toBe(true)
    expect(sameKeys(first.keys, rotated.keys)).toBe(false)
    const again = after((l) => l.activateKey('n')).ledger.entries.at(-1)!.entry
    expect(appendProblem([again as never], rotated.keys)).toBe('keys-changed')
  })
})
