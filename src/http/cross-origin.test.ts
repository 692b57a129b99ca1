import { describe, expect, test } from '@jest/globals'

import { isPublic } from './cross-origin.js'

describe('a page of any site', () => {
  test.each([
    ['/.well-known/jwks.json'],
    ['/.well-known/openid-configuration'],
    ['/ledger/checkpoint'],
    ['/ledger/vkey'],
    ['/ledger/proof'],
    ['/ledger/proof/1'],
    ['/ledger/tile/0/000'],
    ['/openapi.json'],
  ])('may read %s', (path) => {
    expect([isPublic(path, false), isPublic(path, true)]).toEqual([true, true])
  })

  test('may read entries only where they are public', () => {
    expect(isPublic('/ledger/tile/entries/000', false)).toBe(false)
    expect(isPublic('/ledger/tile/entries/000', true)).toBe(true)
  })

  test.each([
    ['/v1/mint-oidc-jwt'],
    ['/v1/mint-aws-creds'],
    ['/v1/audit/mints'],
    ['/metrics'],
    ['/readyz'],
    ['/ledger/checkpoint/'],
    ['//ledger/checkpoint'],
    ['/ledger'],
  ])('may never read %s', (path) => {
    expect([isPublic(path, false), isPublic(path, true)]).toEqual([false, false])
  })
})
