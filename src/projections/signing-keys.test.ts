import { SIGNATURES } from '../../test/support/ledger-signer.js'
import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../test/support/ledger-builder.js'
import { project } from '../../test/support/project.js'
import { KeysView, retiredGraceMs, type SigningKeyRow, signingKeys } from './signing-keys.js'

const START = Date.parse('2026-11-20T12:00:00.000Z')

function rowsOf(tell: (ledger: LedgerBuilder) => void): { rows: SigningKeyRow[]; ledger: LedgerBuilder } {
  const ledger = new LedgerBuilder().open()
  tell(ledger)
  const db = project(signingKeys, ledger.entries)
  const rows = db.prepare<[], SigningKeyRow>('SELECT * FROM signing_keys ORDER BY published_index').all()
  db.close()
  return { rows, ledger }
}

/** A view of what `tell` appends, and a clock to turn. */
function viewOf(tell: (ledger: LedgerBuilder) => void) {
  const clock = { now: START + 1000 }
  const view = new KeysView(() => new Date(clock.now), SIGNATURES)
  const { rows } = rowsOf(tell)
  view.show(rows)
  return { view, clock, rows, kids: () => view.jwks().keys.map(({ kid }) => kid) }
}

describe('the table of signing keys', () => {
  test('keeps each step of a key with its entry', () => {
    const { rows, ledger } = rowsOf((ledger) =>
      ledger.publishKey('a').activateKey().publishKey('b').activateKey().retireKey('a').revokeKey('b'),
    )
    const time = (index: number) => ledger.entries[index]?.entry.time
    expect(rows).toEqual([
      {
        kid: 'a',
        alg: 'ES256',
        jwk: JSON.stringify(ledger.entries[1]?.entry.data['jwk']),
        signature: ledger.entries[5]?.entry.data['signature'],
        ...{ published_index: 1, published_at: time(1), activated_index: 2, activated_at: time(2) },
        ...{
          retired_index: 5,
          retired_at: time(5),
          revoked_index: null,
          revoked_at: null,
          revoked_reason: null,
        },
      },
      {
        kid: 'b',
        alg: 'ES256',
        jwk: JSON.stringify(ledger.entries[3]?.entry.data['jwk']),
        signature: ledger.entries[6]?.entry.data['signature'],
        ...{ published_index: 3, published_at: time(3), activated_index: 4, activated_at: time(4) },
        ...{ retired_index: null, retired_at: null },
        ...{ revoked_index: 6, revoked_at: time(6), revoked_reason: 'the key file was copied' },
      },
    ])
  })

  test('keeps the first key published under a kid', () => {
    const first = rowsOf((ledger) => ledger.publishKey('a')).rows
    const both = rowsOf((ledger) => {
      ledger.publishKey('a')
      ledger.publishJwk({ ...ledger.jwk('b'), kid: 'a' })
    }).rows
    expect(both).toEqual(first)
  })
})

describe('the view of the keys', () => {
  test('serves a key from its publication on, before it is used', () => {
    const { view, kids } = viewOf((ledger) => ledger.publishKey('a').activateKey().publishKey('b'))
    expect(kids()).toEqual(['a', 'b'])
    expect(view.activeKid()).toBe('a')
    expect([view.known().get('b')?.state, view.known().get('c')]).toEqual(['published', undefined])
  })

  test('gives exactly the members that AWS takes, whatever the row holds', () => {
    const view = new KeysView(() => new Date(START), SIGNATURES)
    const { rows } = rowsOf((ledger) => ledger.publishKey('a'))
    const jwk = JSON.parse(rows[0]?.jwk ?? '') as object
    view.show(
      rows.map((row) => ({ ...row, jwk: JSON.stringify({ ...jwk, d: 'secret', key_ops: ['sign'] }) })),
    )
    expect(view.jwks().keys.map((key) => Object.keys(key))).toEqual([
      ['kty', 'crv', 'x', 'y', 'kid', 'alg', 'use'],
    ])
  })

  test('serves a retired key until the last token it can have signed has expired, with five minutes for clocks and a day for copies', () => {
    const { clock, rows, kids, view } = viewOf((ledger) =>
      ledger.publishKey('a').activateKey().publishKey('b').activateKey().retireKey('a'),
    )
    const leaves = Date.parse(rows[0]?.retired_at ?? '') + retiredGraceMs()
    expect(retiredGraceMs()).toBe(3_900_000 + 24 * 3_600_000)
    clock.now = leaves - 1
    const before = view.jwks()
    expect(kids()).toEqual(['a', 'b'])
    expect(view.jwks()).toBe(before)
    clock.now = leaves
    expect(kids()).toEqual(['b'])
    expect(view.known().get('a')?.state).toBe('retired')
  })

  test('drops a retired key at once that never signed', () => {
    const { kids } = viewOf((ledger) => ledger.publishKey('a').activateKey().publishKey('b').retireKey('b'))
    expect(kids()).toEqual(['a'])
  })

  test('drops a revoked key at once, and for good', () => {
    const { view, kids } = viewOf((ledger) =>
      ledger.publishKey('a').activateKey().revokeKey('a').publishKey('a').activateKey('a'),
    )
    expect(kids()).toEqual([])
    expect([view.known().get('a')?.state, view.activeKid()]).toEqual(['revoked', undefined])
  })

  test('has no active key after the active one was retired: an older one does not come back by itself', () => {
    const { view } = viewOf((ledger) =>
      ledger.publishKey('a').activateKey().publishKey('b').activateKey().retireKey('b'),
    )
    expect(view.activeKid()).toBeUndefined()
  })

  test('a retired key is not taken into use again, whatever an entry says', () => {
    const { view, clock, kids } = viewOf((ledger) =>
      ledger.publishKey('a').activateKey().retireKey().activateKey('a'),
    )
    clock.now += 10 * retiredGraceMs()
    expect(kids()).toEqual([])
    expect(view.activeKid()).toBeUndefined()
  })

  test('knows nothing before it is shown anything', () => {
    const view = new KeysView(() => new Date(START), SIGNATURES)
    expect([view.jwks(), view.activeKid(), view.known().all()]).toEqual([{ keys: [] }, undefined, []])
  })
})
