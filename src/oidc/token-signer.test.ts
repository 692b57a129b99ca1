import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, test } from '@jest/globals'

import { thumbprint } from '../domain/ledger/jwk.js'
import { type KeyState, SigningKeys } from '../domain/ledger/signing-keys.js'
import { KeyRing } from './key-ring.js'
import { TokenSigner } from './token-signer.js'

const folder = mkdtempSync(join(tmpdir(), 'signer-'))
afterAll(() => rmSync(folder, { recursive: true }))

const CLAIMS = { iss: 'https://broker.example.com', sub: 's', aud: 'a', iat: 0, exp: 60 }

/** A token was laid out and recorded under the active key, of which the ledger says `state` when it is to be signed. */
function signedIn(state: KeyState): string {
  const ring = KeyRing.open(join(folder, 'key.json'))
  const { kid, jwk } = ring.first
  const known = (now: KeyState) =>
    new SigningKeys(undefined, [{ kid, thumbprint: thumbprint(jwk), state: now, signed: true }])
  let keys = known('active')
  const signer = new TokenSigner(ring, () => keys)
  const token = signer.prepare(CLAIMS)
  keys = known(state)
  return signer.sign(token)
}

test.each<KeyState>(['active', 'superseded', 'retired'])('a key that is %s by then signs', (state) => {
  expect(signedIn(state).split('.')).toHaveLength(3)
})

test('a key that is revoked by then signs nothing', () => {
  expect(() => signedIn('revoked')).toThrow('was revoked while this token was under way')
})
