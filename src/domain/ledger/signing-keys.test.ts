import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../../test/support/ledger-builder.js'
import { SIGNATURES } from '../../../test/support/ledger-signer.js'
import { thumbprint } from './jwk.js'
import { keysAfter, SigningKeys } from './signing-keys.js'

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
