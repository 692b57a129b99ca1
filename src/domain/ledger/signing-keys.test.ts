import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../../test/support/ledger-builder.js'
import { SIGNATURES } from '../../../test/support/ledger-signer.js'
import { thumbprint } from './jwk.js'
import { announcement, keysAfter, SigningKeys } from './signing-keys.js'

function after(tell: (ledger: LedgerBuilder) => unknown) {
  const ledger = new LedgerBuilder().open()
  tell(ledger)
  return { ledger, keys: keysAfter(new SigningKeys(SIGNATURES), ledger.entries) }
}

test('the example of RFC 7638 is about RSA; this one was made with another library', () => {
  const [x, y] = [
    'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  ]
  expect(thumbprint({ kty: 'EC', crv: 'P-256', x, y })).toBe('oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U')
})

describe('an event that the ledger key has not signed', () => {
  test('activates no key', () => {
    const { keys } = after((ledger) => {
      ledger.signsKeys = false
      ledger.publishKey('a').activateKey()
    })
    expect([keys.activeKid, keys.get('a')?.state, keys.get('a')?.signed]).toEqual([
      undefined,
      'active',
      false,
    ])
  })

  test('counts once a holder of the ledger key has taken it over, in the state that the key then has', () => {
    const old = (ledger: LedgerBuilder) => {
      ledger.signsKeys = false
      return ledger.publishKey('a').activateKey()
    }
    expect(after((ledger) => old(ledger).adopt([['a', 'activated']])).keys.activeKid).toBe('a')
    expect(after((ledger) => old(ledger).adopt([['a', 'published']])).keys.activeKid).toBeUndefined()
  })
})

describe('what a start announces of its key', () => {
  const { ledger, keys } = after((l) =>
    l.publishKey('a').activateKey().publishKey('b').activateKey().retireKey('a'),
  )
  const key = (kid: string, of = kid, mayNotReplace = false) => ({
    kid,
    thumbprint: thumbprint(ledger.jwk(of)),
    mayNotReplace,
  })
  const states = (start: ReturnType<typeof key>) => {
    const announced = announcement(start, keys)
    return 'refused' in announced
      ? announced.refused
      : announced.steps.map(({ kid, state }) => `${kid} ${state}`)
  }

  test.each([
    ['nothing of the active key', key('b'), []],
    ['a new key, and the end of the last one', key('c'), ['c published', 'c activated', 'b retired']],
    ['a retired key: refused', key('a'), 'over'],
    ['a retired key under a new kid: refused', key('c', 'a'), 'over'],
    ['the active key under a new kid: refused', key('c', 'b'), 'other-kid'],
    ['another key under a kid that is known: refused', key('b', 'c'), 'other-key'],
    [
      'a key that was made for want of a file, where brokers use another: refused',
      key('c', 'c', true),
      'not-the-active',
    ],
  ])('%s', (_, start, expected) => {
    expect(states(start)).toEqual(expected)
  })
})
