import type { PublicJwk } from '../domain/ledger/events.js'
import { thumbprint } from '../domain/ledger/jwk.js'
import { signKey } from '../domain/ledger/ledger-signature.js'
import { SIGNATURES, SIGNER } from '../../test/support/ledger-signer.js'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Served, served } from '../../test/support/served.js'
import { MintPolicy } from '../domain/mint.js'
import { KeyRing } from '../oidc/key-ring.js'
import { TokenSigner } from '../oidc/token-signer.js'
import { KeysView, retiredGraceMs, type SigningKeyRow } from '../projections/signing-keys.js'
import { WellKnownController } from './well-known.controller.js'

const ISSUER = 'https://broker.example.com'
const PUBLISHED_AT = '2026-11-20T12:00:00.000Z'
// The public key of RFC 7515 appendix A.3.
const X = 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU'
const Y = 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'

const stateOf = ({ retired_at, revoked_at }: Partial<SigningKeyRow>) =>
  revoked_at ? 'revoked' : retired_at ? 'retired' : 'activated'

const row = (kid: string, change: Partial<SigningKeyRow> = {}): SigningKeyRow =>
  rowOf({ kty: 'EC', crv: 'P-256', x: X, y: Y, kid, alg: 'ES256', use: 'sig' }, change)

const rowOf = (jwk: PublicJwk, change: Partial<SigningKeyRow> = {}): SigningKeyRow => ({
  kid: jwk.kid,
  alg: 'ES256',
  // As canonical JSON has it in an entry: members in another order.
  jwk: JSON.stringify({
    alg: 'ES256',
    crv: 'P-256',
    kid: jwk.kid,
    kty: 'EC',
    use: 'sig',
    x: jwk.x,
    y: jwk.y,
  }),
  signature: signKey({ kid: jwk.kid, thumbprint: thumbprint(jwk), state: stateOf(change) }, SIGNER),
  ...{ published_index: 2, published_at: PUBLISHED_AT, activated_index: 3, activated_at: PUBLISHED_AT },
  ...{ retired_index: null, retired_at: null, revoked_index: null, revoked_at: null, revoked_reason: null },
  ...change,
})

let now: number
let keys: KeysView
let server: Served

async function serve(sourceIdentity: boolean): Promise<void> {
  now = Date.parse(PUBLISHED_AT)
  keys = new KeysView(() => new Date(now), SIGNATURES)
  const policy: MintPolicy = {
    ...{
      issuer: ISSUER,
      dataRoleArn: undefined,
      allowedRoleArns: [],
      readOnlyRoleArns: [],
      allowedAudiences: [],
    },
    ...{ jwtTtlSeconds: 300, sessionDurationSeconds: 3600, sourceIdentity },
  }
  server = await served(
    [WellKnownController],
    [
      { provide: MintPolicy, useValue: policy },
      { provide: KeysView, useValue: keys },
    ],
  )
}

beforeEach(() => serve(true))
afterEach(() => server.close())

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${server.url}/.well-known/${path}`, { headers, method })

describe('discovery', () => {
  const CLAIMS = ['iss', 'sub', 'aud', 'iat', 'exp', 'jti', 'agentkeys_user_wallet']
  const AWS = ['https://aws.amazon.com/tags', 'https://aws.amazon.com/roles']
  const golden = (claims: string[]) =>
    `${JSON.stringify({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/.well-known/jwks.json`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      scopes_supported: ['openid'],
      token_endpoint_auth_methods_supported: ['none'],
      claims_supported: claims,
    })}\n`

  test('says what this issuer does, byte for byte, and may be kept for an hour', async () => {
    const response = await get('openid-configuration')
    expect(await response.text()).toBe(golden([...CLAIMS, ...AWS, 'https://aws.amazon.com/source_identity']))
    expect([
      response.status,
      response.headers.get('content-type'),
      response.headers.get('cache-control'),
    ]).toEqual([200, 'application/json', 'public, max-age=3600'])
  })

  test('does not name the source identity where tokens have none', async () => {
    await server.close()
    await serve(false)
    expect(await (await get('openid-configuration')).text()).toBe(golden([...CLAIMS, ...AWS]))
  })

  test('takes the issuer from the configuration, whatever Host and proxies say', async () => {
    const response = await get('openid-configuration', {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
    })
    expect(await response.json()).toMatchObject({ issuer: ISSUER })
  })
})

describe('the JWKS', () => {
  test('is exactly the public keys, byte for byte, and may be kept for five minutes', async () => {
    keys.show([row('v1-1')])
    const response = await get('jwks.json')
    expect(await response.text()).toBe(
      `{"keys":[{"kty":"EC","crv":"P-256","x":"${X}","y":"${Y}","kid":"v1-1","alg":"ES256","use":"sig"}]}\n`,
    )
    expect([
      response.status,
      response.headers.get('content-type'),
      response.headers.get('cache-control'),
    ]).toEqual([200, 'application/json', 'public, max-age=300'])
  })

  test('verifies what the signer signs, to an independent library', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jwks-'))
    try {
      const ring = KeyRing.open(join(folder, 'key.json'))
      keys.show([rowOf(ring.first.jwk)])
      const signer = new TokenSigner(ring, () => keys.known())
      const iat = Math.floor(Date.now() / 1000)
      const jwt = signer.sign(signer.prepare({ iss: ISSUER, sub: 's', aud: 'a', iat, exp: iat + 60 }))
      const set = createLocalJWKSet((await (await get('jwks.json')).json()) as JSONWebKeySet)
      const { payload } = await jwtVerify(jwt, set, { issuer: ISSUER, audience: 'a', algorithms: ['ES256'] })
      expect(payload.sub).toBe('s')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('changes with the keys, and when a retired key has had its time', async () => {
    const kids = async () =>
      ((await (await get('jwks.json')).json()) as { keys: { kid: string }[] }).keys.map((k) => k.kid)
    keys.show([row('a')])
    expect(await kids()).toEqual(['a'])
    keys.show([row('a', { retired_index: 5, retired_at: PUBLISHED_AT }), row('b')])
    expect(await kids()).toEqual(['a', 'b'])
    now += retiredGraceMs()
    expect(await kids()).toEqual(['b'])
    keys.show([row('a'), row('b', { revoked_index: 6, revoked_at: PUBLISHED_AT })])
    expect(await kids()).toEqual(['a'])
  })

  test('without any key is not cached', async () => {
    const response = await get('jwks.json')
    expect([await response.text(), response.headers.get('cache-control')]).toEqual([
      '{"keys":[]}\n',
      'no-store',
    ])
  })
})

describe.each(['jwks.json', 'openid-configuration'])('%s', (path) => {
  beforeEach(() => keys.show([row('a')]))

  test('is not sent again to who has it', async () => {
    const etag = (await get(path)).headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await get(path, { 'if-none-match': known })
      expect([known, response.status, await response.text()]).toEqual([known, 304, ''])
      expect(response.headers.get('etag')).toBe(etag)
      expect(response.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
    }
  })

  test.each(['"other"', '', 'x'])('is sent to who has something else: %j', async (known) => {
    const response = await get(path, { 'if-none-match': known })
    expect([response.status, (await response.text()).startsWith('{')]).toEqual([200, true])
  })

  test('answers HEAD with the headers alone', async () => {
    const [head, full] = [await get(path, {}, 'HEAD'), await get(path)]
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([
      200,
      '',
      full.headers.get('etag'),
    ])
    expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(await full.text())))
  })
})

test('a JWKS that changed has another ETag', async () => {
  keys.show([row('a')])
  const etag = (await get('jwks.json')).headers.get('etag') ?? ''
  keys.show([row('a'), row('b')])
  const response = await get('jwks.json', { 'if-none-match': etag })
  expect([response.status, response.headers.get('etag') === etag]).toEqual([200, false])
})
