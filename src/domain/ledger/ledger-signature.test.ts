import { describe, expect, test } from '@jest/globals'

import { LedgerBuilder } from '../../../test/support/ledger-builder.js'
import {
  ledgerSigner,
  ORIGIN,
  SEED,
  SIGNATURES,
  signedEntry,
  SIGNER,
} from '../../../test/support/ledger-signer.js'
import { parseCheckpoint } from './checkpoint.js'
import * as node from './ed25519.node.js'
import * as web from './ed25519.web.js'
import { LedgerSignatures, signAppend, signedLength, signKey } from './ledger-signature.js'
import { FormatError, utf8 } from './encoding.js'

const HEAD = { size: 7, leafHash: 'ab'.repeat(32) }
const KEY = { kid: 'k', thumbprint: 't'.repeat(43), state: 'activated' } as const
const OTHER_ORIGIN = ledgerSigner('other.example.com/ledger')
const OTHER_KEY = ledgerSigner(
  ORIGIN,
  Uint8Array.from(SEED, (byte) => byte ^ 1),
)

describe('the signature of an append', () => {
  test('is over exactly these lines, and no checkpoint', () => {
    const statement = `agentkeys-broker/append/v1\n${ORIGIN}\n7\n${'ab'.repeat(32)}\n`
    expect(signAppend(HEAD, SIGNER)).toBe(Buffer.from(SIGNER.sign(utf8(statement))).toString('base64'))
    expect(() => parseCheckpoint(statement)).toThrow(FormatError)
  })

  test('holds for its head, its origin and its key, and for nothing else', () => {
    const signature = signAppend(HEAD, SIGNER)
    expect(SIGNATURES.isOfAppend(HEAD, signature)).toBe(true)
    expect(SIGNATURES.isOfAppend({ ...HEAD, size: 8 }, signature)).toBe(false)
    expect(SIGNATURES.isOfAppend({ ...HEAD, leafHash: 'ac'.repeat(32) }, signature)).toBe(false)
    expect(SIGNATURES.isOfAppend(HEAD, signAppend(HEAD, OTHER_ORIGIN))).toBe(false)
    expect(SIGNATURES.isOfAppend(HEAD, signAppend(HEAD, OTHER_KEY))).toBe(false)
    expect(new LedgerSignatures(OTHER_ORIGIN.key).isOfAppend(HEAD, signature)).toBe(false)
  })

  test.each([
    '',
    'x',
    'A'.repeat(88),
    `${signAppend(HEAD, SIGNER)}\n`,
    signAppend(HEAD, SIGNER).slice(0, -4),
  ])('%j is none', (signature) => {
    expect(SIGNATURES.isOfAppend(HEAD, signature)).toBe(false)
  })

  test('covers all entries before it, and none behind it; an old one says nothing of later entries', () => {
    const { entries } = LedgerBuilder.opened().oidcMint()
    const heads = entries.map((entry) => ({
      index: entry.entry.index,
      leafHash: entry.leafHash,
      signature: undefined as string | undefined,
    }))
    expect(signedLength(heads, SIGNATURES)).toBe(0)
    heads[3]!.signature = signedEntry(entries[3]!).signature
    expect(signedLength(heads, SIGNATURES)).toBe(4)
    heads[5]!.signature = heads[3]!.signature
    expect(signedLength(heads, SIGNATURES)).toBe(4)
    heads[5]!.signature = signedEntry(entries[5]!).signature
    expect(signedLength(heads, SIGNATURES)).toBe(6)
  })
})

test("a key's state is signed with its kid, its thumbprint and its origin; a line break in a kid moves nothing", () => {
  const signature = signKey(KEY, SIGNER)
  expect(SIGNATURES.isOfKey(KEY, signature)).toBe(true)
  const others = [{ kid: 'l' }, { thumbprint: 'u'.repeat(43) }, { state: 'published' }] as const
  for (const other of others) expect(SIGNATURES.isOfKey({ ...KEY, ...other }, signature)).toBe(false)
  expect(SIGNATURES.isOfKey(KEY, signKey(KEY, OTHER_ORIGIN))).toBe(false)
  const broken = { ...KEY, kid: 'k\nt' }
  expect(SIGNATURES.isOfKey(broken, signKey(broken, SIGNER))).toBe(false)
})

describe.each([
  { file: 'ed25519.node', ...node },
  { file: 'ed25519.web', ...web },
])('$file', ({ ed25519Check }) => {
  test('takes what the key signed, and nothing under a key of small order', () => {
    const message = utf8('message')
    const check = ed25519Check(SIGNER.key.publicKey)
    const signature = SIGNER.sign(message)
    expect([check(message, signature), check(utf8('massage'), signature)]).toEqual([true, false])
    // The neutral point: with R neutral too and s = 0, the plain equation holds for every message.
    const neutral = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))
    const anything = new Uint8Array([...neutral, ...new Uint8Array(32)])
    expect(ed25519Check(neutral)(message, anything)).toBe(false)
  })
})
