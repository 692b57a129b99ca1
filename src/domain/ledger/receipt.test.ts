import { createHash, generateKeyPairSync, sign } from 'node:crypto'

import { describe, expect, test } from '@jest/globals'

import { GrownTree } from '../../../test/support/grown-tree.js'
import { type Change, LedgerBuilder, VKEY } from '../../../test/support/ledger-builder.js'
import { signedHead, witness } from '../../../test/support/tile-writer.js'

import { parseSignedCheckpoint } from './checkpoint.js'
import { inclusionProof } from './merkle.js'
import { formatVkey, signerFromSeed } from './note.js'
import { parsePolicy } from './policy.js'
import { formatProof, parseProof, type TlogProof } from './proof.js'
import { type Logged, type ReceiptVerdict, verifyReceipt } from './receipt.js'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A JWT as the broker signs it, but for what is changed. */
function jwtOf(payload: object, header: object = { alg: 'ES256', kid: 'k1', typ: 'JWT' }): string {
  const input = `${encoded(header)}.${encoded(payload)}`
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

const ledger = new LedgerBuilder().open().brokerStarted().publishKey('k1').activateKey()
const mint = ledger.mint()
const iat = Math.floor(ledger.now.getTime() / 1000)
const claims = {
  ...{ iss: 'https://broker.example.com', sub: `agentkeys:agent:${mint.wallet}`, aud: 'sts.amazonaws.com' },
  ...{ iat, exp: iat + 300, jti: mint.mintId },
}
const announce = (jwt: string, change: Change<'JwtIssued'> = {}): Change<'JwtIssued'> => ({
  ...{ iat, exp: iat + 300 },
  signingInputSha256: createHash('sha256')
    .update(jwt.slice(0, jwt.lastIndexOf('.')))
    .digest('hex'),
  ...change,
})
const jwt = jwtOf(claims)
ledger.session(mint).jwt(mint, announce(jwt)).awsMint()

/** Where an entry is that announces `of`, logged after the ones above. */
function logged(of: string, change: Change<'JwtIssued'>): number {
  const another = ledger.mint()
  ledger.session(another).jwt({ ...another, mintId: mint.mintId, wallet: mint.wallet }, announce(of, change))
  return ledger.entries.length - 1
}
const JWT_AT = 5
const CREDS_AT = 8
const fractional = jwtOf({ ...claims, exp: iat + 900 })
const otherExpiryAt = logged(fractional, {})
const hs256 = jwtOf(claims, { alg: 'HS256', kid: 'k1' })
const hs256At = logged(hs256, {})
const noObject = `${encoded([])}.${Buffer.from('null').toString('base64url')}.${jwt.split('.')[2]}`
const noObjectAt = logged(noObject, {})

const bytes = ledger.texts.map((text) => new TextEncoder().encode(text))
const tree = new GrownTree(bytes)

function receipt(
  index: number,
  options: { extra?: Uint8Array | undefined; cosigned?: boolean } = {},
): TlogProof {
  const size = bytes.length
  const note = signedHead(size, tree.rootAt(size), { witnesses: options.cosigned ? [witness(1)] : [] })
  const extra = 'extra' in options ? options.extra : bytes[index]
  const proof: TlogProof = {
    ...(extra && { extra }),
    index,
    path: inclusionProof(index, size, tree.read),
    checkpoint: parseSignedCheckpoint(note),
  }
  return parseProof(formatProof(proof))
}

const policy = parsePolicy(`log ${VKEY}\nquorum none\n`)
const problem = (proof: TlogProof, given: Logged = {}, by = policy): string => {
  const verdict: ReceiptVerdict = verifyReceipt(proof, by, given)
  return verdict.ok ? 'ok' : verdict.problem
}

test('a receipt, a key and the JWT are enough to prove that the JWT was logged', () => {
  expect(verifyReceipt(receipt(JWT_AT), policy, { jwt })).toMatchObject({
    ok: true,
    entry: { index: JWT_AT, type: 'JwtIssued', data: { mintId: mint.mintId } },
    leafHash: ledger.entries[JWT_AT]!.leafHash,
  })
})

test('another signature over the same JWT is the same JWT: ES256 signatures differ each time', () => {
  expect(problem(receipt(JWT_AT), { jwt: jwtOf(claims) })).toBe('ok')
})

test('every entry that is logged can be proven, of AWS credentials too', () => {
  for (const [index, entry] of bytes.entries()) expect(problem(receipt(index), { entry })).toBe('ok')
  expect(problem(receipt(CREDS_AT))).toBe('ok')
})

describe('it is not proven', () => {
  test('when any byte of the entry is another, in the receipt or beside it', () => {
    const entry = bytes[JWT_AT]!
    for (let at = 0; at < entry.length; at += 1) {
      const changed = entry.slice()
      changed[at]! ^= 1
      expect(problem(receipt(JWT_AT, { extra: changed }), { jwt })).toBe('not-included')
      expect(problem(receipt(JWT_AT), { entry: changed, jwt })).toBe('not-included')
    }
  })

  test('when the receipt is of another place, or its path is another', () => {
    const proof = receipt(JWT_AT)
    expect(problem({ ...proof, index: JWT_AT + 1 }, { jwt })).toBe('not-included')
    expect(problem({ ...proof, path: proof.path.slice(1) }, { jwt })).toBe('not-included')
    expect(problem(receipt(CREDS_AT, { extra: bytes[JWT_AT] }), { jwt })).toBe('not-included')
  })

  test('when the key is another', () => {
    const stranger = signerFromSeed('broker.example.com/ledger', 'ed25519', new Uint8Array(32).fill(9))
    const by = parsePolicy(`log ${formatVkey(stranger.key)}\nquorum none\n`)
    expect(problem(receipt(JWT_AT), { jwt }, by)).toBe('not-signed-by-log')
  })

  test('when too few witnesses cosigned', () => {
    const by = parsePolicy(`log ${VKEY}\nwitness one ${formatVkey(witness(1).key)}\nquorum one\n`)
    expect(problem(receipt(JWT_AT), { jwt }, by)).toBe('quorum-missing')
    expect(problem(receipt(JWT_AT, { cosigned: true }), { jwt }, by)).toBe('ok')
  })

  test('when the JWT is another, by one character of its header or payload', () => {
    const end = jwt.lastIndexOf('.')
    for (let at = 0; at < end; at += 1) {
      if (jwt[at] === '.') continue
      const changed = jwt.slice(0, at) + (jwt[at] === 'A' ? 'B' : 'A') + jwt.slice(at + 1)
      expect(problem(receipt(JWT_AT), { jwt: changed })).toBe('other-jwt')
    }
  })

  test.each([
    '',
    'x',
    jwt.slice(0, -1),
    `${jwt}A`,
    `${jwt}\n`,
    jwt.split('.').slice(0, 2).join('.'),
    `${jwt}.x`,
  ])('when the text is no JWT: case %#', (text) =>
    expect(problem(receipt(JWT_AT), { jwt: text })).toBe('not-a-jwt'),
  )

  test('when the entry says other things of the JWT than the JWT itself', () => {
    expect(problem(receipt(otherExpiryAt), { jwt: fractional })).toBe('other-claims')
    expect(problem(receipt(hs256At), { jwt: hs256 })).toBe('other-claims')
    expect(problem(receipt(noObjectAt), { jwt: noObject })).toBe('other-claims')
  })

  test('when the entry announces no JWT', () => {
    expect(problem(receipt(CREDS_AT), { jwt })).toBe('no-jwt-entry')
  })

  test('when there is no entry', () => {
    expect(problem(receipt(JWT_AT, { extra: undefined }), { jwt })).toBe('no-entry')
  })

  test('when what was logged there is no entry, or one of another place', () => {
    const odd = [new TextEncoder().encode('{}'), Uint8Array.of(0xff), bytes[JWT_AT]!]
    const other = new GrownTree(odd)
    const at = (index: number): TlogProof => ({
      index,
      extra: odd[index]!,
      path: inclusionProof(index, 3, other.read),
      checkpoint: parseSignedCheckpoint(signedHead(3, other.rootAt(3))),
    })
    expect([0, 1, 2].map((index) => problem(at(index)))).toEqual([
      'not-an-entry',
      'not-an-entry',
      'wrong-index',
    ])
  })
})
