import { AssumeRoleWithWebIdentityCommand } from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { exportJWK, generateKeyPair } from 'jose'

import { ROLE, publicJwk, startIssuer, type TestIssuer } from '../../test/support/oidc-issuer.js'
import { refusal, stsClient } from '../../test/support/sts-client.js'
import { KEY_RETRIEVAL_MESSAGE } from './errors.js'
import { ALGORITHMS, keyProblem } from './issuer-keys.js'
import { startLocalAws, type LocalAws } from './server.js'

/** A self-signed certificate, and the public key in it. Its private key is gone. */
const CERTIFICATE = [
  'MIIBiTCCAS+gAwIBAgIUSqzsm6bgF1eaXLgybrlINNkQQJcwCgYIKoZIzj0EAwIwGTEXMBUGA1UEAwwOaXNzdWVyLmV4YW1wbGUw',
  'IBcNMjYxMTIxMDk0MTIyWhgPMjEyNjEwMjgwOTQxMjJaMBkxFzAVBgNVBAMMDmlzc3Vlci5leGFtcGxlMFkwEwYHKoZIzj0CAQYI',
  'KoZIzj0DAQcDQgAEDfBZEfAKf4yCz02K4rQt7T1x04A+XIjKEjsIgrcnZ+YmQ2JZUtDZBLxPZVuAjhO0mlENmKzG2yM8I/QGQV5p',
  'LKNTMFEwHQYDVR0OBBYEFMJQ2ctR5eULcEHWsfyLL3tBuCqXMB8GA1UdIwQYMBaAFMJQ2ctR5eULcEHWsfyLL3tBuCqXMA8GA1Ud',
  'EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgQWOIo1YCN9ubLIQ1Whg+QQuqDAw07BjKqQwMq6KwzrcCIQClVIRaG3cATdnE',
  'uQFgFYRe+8d34kXMB9FJgR6v9R7k+A==',
].join('')
const CERTIFIED_KEY = {
  kty: 'EC',
  x: 'DfBZEfAKf4yCz02K4rQt7T1x04A-XIjKEjsIgrcnZ-Y',
  y: 'JkNiWVLQ2QS8T2VbgI4TtJpRDZisxtsjPCP0BkFeaSw',
  crv: 'P-256',
}

let issuer: TestIssuer
let aws: LocalAws

beforeEach(async () => {
  issuer = await startIssuer()
  aws = await startLocalAws({ issuer: issuer.url })
})

afterEach(async () => {
  await aws.close()
  await issuer.close()
})

function exchange(token: string) {
  const ask = { RoleArn: ROLE, RoleSessionName: 'agentkeys-1', WebIdentityToken: token }
  return stsClient(aws.url).send(new AssumeRoleWithWebIdentityCommand(ask))
}

const ours = () => issuer.keys[0] ?? {}
const invalid = { name: 'InvalidIdentityTokenException', status: 400 }
const DISCOVERY = '/.well-known/openid-configuration'
const JWKS = '/.well-known/jwks.json'

describe('keys that will do', () => {
  test.each(ALGORITHMS)('a key for %s, whatever the alg of its JWK says', async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    issuer.keys.push({ ...(await publicJwk(publicKey, 'other')), alg: 'PS512' })
    expect((await exchange(await issuer.token({}, { alg, kid: 'other' }, privateKey))).Audience).toBe(
      'sts.amazonaws.com',
    )
  })

  test('the only key, for a token without kid', async () => {
    expect((await exchange(await issuer.token({}, { kid: undefined }))).Audience).toBe('sts.amazonaws.com')
  })

  test('the last of several keys with the same kid', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true })
    issuer.keys.unshift(await publicJwk(publicKey, 'v1-1'))
    expect((await exchange(await issuer.token())).Audience).toBe('sts.amazonaws.com')
    issuer.keys.reverse()
    expect(await refusal(exchange(await issuer.token()))).toMatchObject(invalid)
  })

  test('a key published after the last token, at once', async () => {
    await exchange(await issuer.token())
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    issuer.keys.push(await publicJwk(publicKey, 'v1-2'))
    expect((await exchange(await issuer.token({}, { kid: 'v1-2' }, privateKey))).Audience).toBe(
      'sts.amazonaws.com',
    )
    expect(issuer.asked).toEqual([DISCOVERY, JWKS, DISCOVERY, JWKS])
  })
})

describe('keys that will not do', () => {
  test.each<[string, Record<string, unknown>]>([
    ['key_ops, even verify alone', { key_ops: ['verify'] }],
    ['empty key_ops', { key_ops: [] }],
    ['use enc', { use: 'enc' }],
    ['no kid', { kid: undefined }],
    ['a kid that is a number', { kid: 1 }],
    ['another key type', { kty: 'OKP' }],
    ['only a certificate', { x: undefined, y: undefined, crv: undefined, x5c: ['MIIB'] }],
    ['a certificate that cannot be read', { x5c: ['MIIB'] }],
    ['a certificate of another key', { x5c: [CERTIFICATE] }],
    ['the wrong curve for the algorithm', { crv: 'P-384' }],
  ])('a key with %s', async (_, members) => {
    issuer.keys[0] = { ...ours(), ...members }
    expect(await refusal(exchange(await issuer.token()))).toMatchObject(invalid)
  })

  test('a key beside one without kid', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true })
    issuer.keys.push(await exportJWK(publicKey))
    expect(await refusal(exchange(await issuer.token()))).toMatchObject(invalid)
  })

  test('any of several keys, for a token without kid', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true })
    issuer.keys.push(await publicJwk(publicKey, 'v1-2'))
    expect(await refusal(exchange(await issuer.token({}, { kid: undefined })))).toMatchObject(invalid)
  })

  test('a key of another kid', async () => {
    expect(await refusal(exchange(await issuer.token({}, { kid: 'v1-9' })))).toMatchObject(invalid)
  })

  test('an RSA key among more than 100, while EC still works', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const rsa = await publicJwk(publicKey, 'rsa-0')
    issuer.keys.push(rsa, ...Array.from({ length: 100 }, (_, index) => ({ ...rsa, kid: `rsa-${index + 1}` })))
    expect(
      await refusal(exchange(await issuer.token({}, { alg: 'RS256', kid: 'rsa-0' }, privateKey))),
    ).toMatchObject(invalid)
    expect((await exchange(await issuer.token())).Audience).toBe('sts.amazonaws.com')
    issuer.keys.pop()
    expect(
      (await exchange(await issuer.token({}, { alg: 'RS256', kid: 'rsa-0' }, privateKey))).Audience,
    ).toBe('sts.amazonaws.com')
  })

  test('a certificate of the key itself is no problem', () => {
    expect(keyProblem({ ...CERTIFIED_KEY, x5c: [CERTIFICATE] }, [])).toBeUndefined()
    expect(keyProblem({ ...CERTIFIED_KEY, y: CERTIFIED_KEY.x, x5c: [CERTIFICATE] }, [])).toBe(
      "The issuer's key and its x5c differ",
    )
  })
})

describe('an issuer that cannot be asked for its keys', () => {
  beforeEach(async () => {
    await aws.close()
    aws = await startLocalAws({ issuer: issuer.url, keyFetchTimeoutMs: 300 })
  })

  const html = { status: 200, body: '<html>' }
  test.each<[string, string, { status: number; body: string } | 'silence']>([
    ['whose discovery is not found', DISCOVERY, { status: 404, body: '{}' }],
    ['whose discovery is no JSON', DISCOVERY, html],
    ['whose discovery is a list', DISCOVERY, { status: 200, body: '[]' }],
    [
      'whose discovery names another issuer',
      DISCOVERY,
      { status: 200, body: '{"issuer":"https://a.example"}' },
    ],
    ['whose discovery does not answer', DISCOVERY, 'silence'],
    ['whose JWKS fails', JWKS, { status: 500, body: '' }],
    ['whose JWKS is no JSON', JWKS, html],
    ['whose JWKS has no keys', JWKS, { status: 200, body: '{}' }],
    ['whose JWKS has a string for a key', JWKS, { status: 200, body: '{"keys":["a"]}' }],
    ['whose JWKS does not answer', JWKS, 'silence'],
    [
      'whose JWKS is larger than any JWKS',
      JWKS,
      { status: 200, body: `{"keys":[],"pad":"${'x'.repeat(600_000)}"}` },
    ],
  ])('%s', async (_, path, answer) => {
    const token = await issuer.token()
    issuer.answers.set(path, answer)
    expect(await refusal(exchange(token))).toEqual({ ...invalid, message: KEY_RETRIEVAL_MESSAGE })
  })

  test.each(['http://192.0.2.1/jwks', 'file:///etc/passwd', 'not a url'])(
    'whose jwks_uri is %s',
    async (jwks_uri) => {
      issuer.answers.set(DISCOVERY, { status: 200, body: JSON.stringify({ issuer: issuer.url, jwks_uri }) })
      expect(await refusal(exchange(await issuer.token()))).toEqual({
        ...invalid,
        message: KEY_RETRIEVAL_MESSAGE,
      })
    },
  )

  test('whose discovery is elsewhere, even if it is right there', async () => {
    const token = await issuer.token()
    const discovery = { issuer: issuer.url, jwks_uri: `${issuer.url}${JWKS}` }
    issuer.answers.set('/moved', { status: 200, body: JSON.stringify(discovery) })
    issuer.answers.set(DISCOVERY, { status: 302, body: '', headers: { location: '/moved' } })
    expect(await refusal(exchange(token))).toEqual({ ...invalid, message: KEY_RETRIEVAL_MESSAGE })
  })

  test('that is not there at all', async () => {
    const token = await issuer.token()
    await issuer.close()
    expect(await refusal(exchange(token))).toEqual({ ...invalid, message: KEY_RETRIEVAL_MESSAGE })
  })
})
