import { randomBytes } from 'node:crypto'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { decrypt, encrypt } from './vault.js'

const KEY = Buffer.alloc(32, 7)
const NAME = { wallet: `0x${'a'.repeat(40)}`, service: 'openrouter' }

test('what was encrypted is decrypted with the same key, wallet and service', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (secret, service) => {
      expect(decrypt(encrypt(secret, KEY, { ...NAME, service }), KEY, { ...NAME, service })).toBe(secret)
    }),
  )
})

test('the wallet is compared without its case, as everywhere', () => {
  const text = encrypt('secret', KEY, { ...NAME, wallet: NAME.wallet.toUpperCase().replace('0X', '0x') })
  expect(decrypt(text, KEY, NAME)).toBe('secret')
})

test.each([
  ['another key', KEY.map((byte) => byte + 1), NAME],
  ['another wallet', KEY, { ...NAME, wallet: `0x${'b'.repeat(40)}` }],
  ['another service', KEY, { ...NAME, service: 'openai' }],
])('%s cannot decrypt it', (_, key, name) => {
  expect(() => decrypt(encrypt('secret', KEY, NAME), key, name)).toThrow(/cannot be decrypted/)
})

test('every bit that is changed is noticed', () => {
  const bytes = Buffer.from(encrypt('a secret', KEY, NAME), 'base64')
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(() => decrypt(changed.toString('base64'), KEY, NAME)).toThrow(/cannot be decrypted|unknown form/)
  }
})

test('the same secret twice is two texts, and neither holds it', () => {
  const [one, two] = [encrypt('sk-or-v1-secret', KEY, NAME), encrypt('sk-or-v1-secret', KEY, NAME)]
  expect(one).not.toBe(two)
  expect(Buffer.from(one, 'base64').toString('latin1')).not.toContain('sk-or')
})

test.each(['', 'AA==', randomBytes(28).toString('base64'), 'not base64!'])('%j is refused', (text) => {
  expect(() => decrypt(text, KEY, NAME)).toThrow(/unknown form|cannot be decrypted/)
})
