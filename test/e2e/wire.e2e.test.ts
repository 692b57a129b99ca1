// The six routes of the original broker, field by field and status by status: a daemon, a script or a runbook written
// for it works against ours. docs/design.md, where we differ.

import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { allowInsecureRequests, discovery } from 'openid-client'

import { DATA_ROLE_ARN } from '../../tools/local-aws/default-account.js'
import type { BrokerProcess } from '../support/broker-process.js'
import { type BrokerWithAws, startBrokerWithAws } from '../support/broker-with-aws.js'
import { LEDGERS, type LedgerHome } from '../support/ledger-home.js'
import { type SessionBackendServer, startSessionBackendServer } from '../support/session-backend-server.js'
import { entriesDuring, entriesOf, expectVerified, only } from '../support/audited-ledger.js'

const KID = 'v1-1747000000'
const WALLET = `0x${'a1'.repeat(20)}`
const BEARER = 'bearer-of-alice'

interface JwtReply {
  jwt: string
  wallet: string
  expiration: number
  jti: string
  ledger: { origin: string; index: number; leaf_hash: string }
}

describe.each(LEDGERS)('the ledger in $ledger', ({ openHome }) => {
  let backend: SessionBackendServer
  let world: BrokerWithAws
  let broker: BrokerProcess
  let home: LedgerHome
  const ledger = () => home.folder(broker.dataDir)

  beforeAll(async () => {
    home = await openHome()
    backend = await startSessionBackendServer()
    backend.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
    writeOriginalKeyFile(join(dataDir, 'oidc-keypair.json'))
    // With the slash that the original took too.
    world = await startBrokerWithAws({ dataDir, env: { ...home.env, BROKER_BACKEND_URL: `${backend.url}/` } })
    broker = world.broker
  })

  afterAll(async () => {
    await world.dispose()
    await backend.close()
    await home.dispose()
  })

  /** As the original wrote it: pretty JSON, the PEM in PKCS#8 with LF, no purpose. */
  function writeOriginalKeyFile(path: string): void {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const private_key_pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    writeFileSync(path, JSON.stringify({ kid: KID, private_key_pem }, null, 2), { mode: 0o600 })
  }

  async function raw(method: string, path: string, headers: Record<string, string> = {}) {
    const response = await fetch(broker.url + path, { method, headers })
    const type = response.headers.get('content-type')
    return { status: response.status, type, text: await response.text() }
  }

  function payloadOf(jwt: string): unknown {
    return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
  }

  describe('health', () => {
    test('/healthz is the plain text ok', async () => {
      expect(await raw('GET', '/healthz')).toEqual({
        status: 200,
        type: 'text/plain; charset=utf-8',
        text: 'ok',
      })
    })

    test('/readyz says ready, and 503 with what is missing while the session backend or STS is down', async () => {
      const parts = { backend_ok: true, sts_ok: true, ledger_ok: true, signer_ok: true, projections_ok: true }
      expect(await readyzUntil(200)).toEqual({ status: 'ready', ...parts })

      backend.health.status = 500
      world.aws.failNext({ kind: 'drop' }, { times: 'all' })
      const down = await readyzUntil(503)
      expect(down).toMatchObject({ status: 'not_ready', ...parts, backend_ok: false, sts_ok: false })
      expect(down.problems).toHaveLength(2)

      backend.health.status = 200
      world.aws.clearFaults()
      expect(await readyzUntil(200)).toEqual({ status: 'ready', ...parts })
    })

    /** The answer is kept for a second, so that probes are no load for others. */
    async function readyzUntil(status: number): Promise<{ problems?: string[] }> {
      for (;;) {
        const reply = await broker.get<{ problems?: string[] }>('/readyz')
        if (reply.status === status) return reply.body
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  })

  describe('the issuer', () => {
    test('discovery has the members it always had, and claims_supported those that are really issued', async () => {
      const { status, body, headers } = await broker.get('/.well-known/openid-configuration')
      expect(status).toBe(200)
      expect(headers.get('content-type')).toBe('application/json')
      expect(body).toEqual({
        issuer: broker.url,
        jwks_uri: `${broker.url}/.well-known/jwks.json`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        scopes_supported: ['openid'],
        token_endpoint_auth_methods_supported: ['none'],
        claims_supported: [
          ...['iss', 'sub', 'aud', 'iat', 'exp', 'jti', 'agentkeys_user_wallet'],
          ...['https://aws.amazon.com/tags', 'https://aws.amazon.com/roles'],
          'https://aws.amazon.com/source_identity',
        ],
      })
    })

    test('the JWKS has the key of the key file that the original broker left, under its own kid, and the next one', async () => {
      const { status, body } = await broker.get('/.well-known/jwks.json')
      const coordinate = expect.stringMatching(/^[\w-]{43}$/)
      expect(status).toBe(200)
      const key = { kty: 'EC', crv: 'P-256', x: coordinate, y: coordinate, alg: 'ES256', use: 'sig' }
      expect(body).toEqual({
        keys: [
          { ...key, kid: KID },
          { ...key, kid: coordinate },
        ],
      })
    })

    test('both documents are cacheable, and a client that has them gets 304', async () => {
      for (const path of ['/.well-known/openid-configuration', '/.well-known/jwks.json']) {
        const { headers } = await broker.get(path)
        expect(headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
        const again = await raw('GET', path, { 'if-none-match': headers.get('etag') ?? '' })
        expect(again).toMatchObject({ status: 304, text: '' })
      }
    })
  })

  describe('POST /v1/mint-oidc-jwt', () => {
    afterEach(() => expectVerified(ledger()))

    test('answers with jwt, wallet and expiration, and says where the ledger has it', async () => {
      const { status, body, headers } = await broker.post<JwtReply>('/v1/mint-oidc-jwt', BEARER)
      const entry = entriesOf(ledger()).at(-1)
      expect(status).toBe(200)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(body).toEqual({
        jwt: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]{86}$/),
        wallet: WALLET,
        expiration: (payloadOf(body.jwt) as { exp: number }).exp,
        jti: entry?.data['mintId'],
        ledger: expect.objectContaining({
          origin: `${new URL(broker.url).hostname}/ledger`,
          index: entry?.index,
          leaf_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        }),
      })
    })

    test('the JWT has exactly the header and claims it should, and the ledger has the hash of what was signed', async () => {
      let jwt = ''
      const entries = await entriesDuring(ledger, async () => {
        jwt = (await broker.post<JwtReply>('/v1/mint-oidc-jwt', BEARER)).body.jwt
      })
      const issued = only(entries, 'JwtIssued')
      expect(entries.map(({ type }) => type)).toEqual(['SessionValidated', 'JwtIssued'])
      expect(decodeProtectedHeader(jwt)).toEqual({ typ: 'JWT', alg: 'ES256', kid: KID })
      expect(payloadOf(jwt)).toEqual({
        iss: broker.url,
        sub: `agentkeys:agent:${WALLET}`,
        aud: 'sts.amazonaws.com',
        iat: issued.iat,
        exp: issued.iat + 300,
        jti: issued.mintId,
        agentkeys_user_wallet: WALLET,
        'https://aws.amazon.com/tags': {
          principal_tags: { agentkeys_user_wallet: [WALLET] },
          transitive_tag_keys: ['agentkeys_user_wallet'],
        },
        'https://aws.amazon.com/roles': [DATA_ROLE_ARN],
        'https://aws.amazon.com/source_identity': WALLET,
      })
      expect(Number.isInteger(issued.iat)).toBe(true)
      const signingInput = jwt.slice(0, jwt.lastIndexOf('.'))
      expect(issued).toEqual({
        mintId: issued.mintId,
        wallet: WALLET,
        kid: KID,
        purpose: 'oidc_jwt',
        sub: `agentkeys:agent:${WALLET}`,
        aud: 'sts.amazonaws.com',
        iat: issued.iat,
        exp: issued.exp,
        roleArn: DATA_ROLE_ARN,
        signingInputSha256: createHash('sha256').update(signingInput).digest('hex'),
      })
      expect(only(entries, 'SessionValidated')).toEqual({
        mintId: issued.mintId,
        wallet: WALLET,
        tokenSha256: createHash('sha256').update(BEARER).digest('hex'),
        backend: backend.url,
      })
    })

    test('jose verifies it with the published keys, found through openid-client discovery', async () => {
      const { jwt } = (await broker.post<JwtReply>('/v1/mint-oidc-jwt', BEARER)).body
      const found = await discovery(new URL(broker.url), 'any-client', undefined, undefined, {
        execute: [allowInsecureRequests],
      })
      const { issuer, jwks_uri = '' } = found.serverMetadata()
      for (const uri of [`${broker.url}/.well-known/jwks.json`, jwks_uri]) {
        const { payload } = await jwtVerify(jwt, createRemoteJWKSet(new URL(uri)), {
          issuer,
          audience: 'sts.amazonaws.com',
          algorithms: ['ES256'],
        })
        expect(payload.sub).toBe(`agentkeys:agent:${WALLET}`)
      }
      const forged = jwt.replace(/[\w-]{10}$/, 'AAAAAAAAAA')
      const keys = createRemoteJWKSet(new URL(jwks_uri))
      await expect(jwtVerify(forged, keys)).rejects.toMatchObject({
        code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
      })
    })

    test('no two mints have one jti, and the bearer is asked about each time', async () => {
      const asked = backend.calls.length
      const replies = await Promise.all(
        Array.from({ length: 20 }, () => broker.post<JwtReply>('/v1/mint-oidc-jwt', BEARER)),
      )
      expect(new Set(replies.map(({ body }) => body.jti)).size).toBe(20)
      expect(backend.calls.slice(asked)).toEqual(Array(20).fill('GET /session/validate'))
    })
  })

  describe('POST /v1/mint-aws-creds', () => {
    afterEach(() => expectVerified(ledger()))

    test('answers with the flat five fields and where the ledger has it', async () => {
      const { status, body } = await broker.post<Record<string, unknown>>('/v1/mint-aws-creds', BEARER)
      const entry = entriesOf(ledger()).at(-1)
      expect(status).toBe(200)
      expect(body).toEqual({
        access_key_id: entry?.data['accessKeyId'],
        secret_access_key: expect.stringMatching(/^\S{40}$/),
        session_token: expect.stringMatching(/^\S{100,}$/),
        expiration: Math.floor(Date.parse(entry?.data['expiresAt'] as string) / 1000),
        wallet: WALLET,
        mint_id: entry?.data['mintId'],
        role_arn: DATA_ROLE_ARN,
        region: 'us-east-1',
        ledger: expect.objectContaining({ index: entry?.index }),
      })
      expect(entry?.type).toBe('CredsMinted')
    })
  })

  describe('errors', () => {
    afterEach(() => expectVerified(ledger()))

    const MINTS = ['/v1/mint-oidc-jwt', '/v1/mint-aws-creds']

    test.each(MINTS)('%s: every refusal has its status, kind and prefix', async (path) => {
      const answer = (status: number, body?: string) => ({
        kind: 'reply' as const,
        status,
        ...(body && { body }),
      })
      backend.answers.set('bearer-revoked', answer(401, '{"message":"session revoked"}'))
      backend.answers.set('bearer-wordless', answer(401, 'nope'))
      backend.answers.set('bearer-denied', answer(403))
      backend.answers.set('bearer-broken', answer(500))
      backend.answers.set('bearer-not-json', answer(200, 'hello'))
      backend.answers.set('bearer-no-wallet', answer(200, '{"user":"alice"}'))
      const cases: [string | undefined, number, string, string, string?][] = [
        [
          undefined,
          401,
          'unauthorized',
          'unauthorized: missing Authorization header',
          'missing-authorization',
        ],
        ['bearer-unknown', 401, 'unauthorized', 'unauthorized: session not found'],
        ['bearer-revoked', 401, 'unauthorized', 'unauthorized: session revoked'],
        ['bearer-wordless', 401, 'unauthorized', 'unauthorized: session not valid'],
        ['bearer-denied', 502, 'backend_unreachable', 'backend unreachable: backend returned 403'],
        ['bearer-broken', 502, 'backend_unreachable', 'backend unreachable: backend returned 500'],
        [
          'bearer-not-json',
          502,
          'backend_unreachable',
          'backend unreachable: backend answered without a JSON object',
        ],
        [
          'bearer-no-wallet',
          502,
          'backend_unreachable',
          'backend unreachable: backend answered without a wallet',
        ],
      ]
      const REASON_OF: Record<string, string> = {
        unauthorized: 'session-not-valid',
        backend_unreachable: 'backend-unreachable',
      }
      const stsCalls = world.aws.calls.length
      const entries = await entriesDuring(ledger, async () => {
        for (const [bearer, status, error, message, reason = REASON_OF[error]] of cases) {
          const reply = await broker.post(path, bearer)
          expect({ status: reply.status, body: reply.body }).toEqual({
            status,
            body: { error, message, reason },
          })
          expect(reply.headers.get('content-type')).toBe('application/json; charset=utf-8')
          expect(reply.headers.get('cache-control')).toBe('no-store')
        }
      })
      expect(entries).toEqual([])
      expect(world.aws.calls).toHaveLength(stsCalls)
    })

    test('STS that refuses is 502 sts_error', async () => {
      world.aws.failNext({ kind: 'error', code: 'AccessDenied' })
      const { status, body } = await broker.post('/v1/mint-aws-creds', BEARER)
      expect(status).toBe(502)
      expect(body).toEqual({
        error: 'sts_error',
        message: expect.stringMatching(/^sts error: AccessDenied: /),
        reason: 'access-denied',
      })
    })

    test('an unknown path is a 404, a known one with another method a 405 that says which there are', async () => {
      for (const path of ['/nope', '/v1', '/v1/mint', '/V1/MINT-OIDC-JWT', '/session/create']) {
        const { status, type, text } = await raw('GET', path)
        expect({ status, type }).toEqual({ status: 404, type: 'application/json; charset=utf-8' })
        expect(JSON.parse(text)).toMatchObject({ error: 'not_found', reason: 'no-such-path' })
        expect(text).toMatch(/\}\n$/)
      }
      for (const [method, path, allow] of [
        ['GET', '/v1/mint-oidc-jwt', 'POST'],
        ['PUT', '/v1/mint-aws-creds', 'POST'],
        ['OPTIONS', '/v1/mint-aws-creds', 'POST'],
        ['POST', '/healthz', 'GET, HEAD'],
        ['DELETE', '/.well-known/jwks.json', 'GET, HEAD'],
      ] as const) {
        const response = await fetch(broker.url + path, { method })
        expect([path, response.status, response.headers.get('allow')]).toEqual([path, 405, allow])
        expect(await response.json()).toEqual({
          error: 'method_not_allowed',
          message: `method not allowed: this path takes ${allow}`,
          reason: 'method-not-allowed',
        })
      }
    })
  })

  test('stop and start: the log lines an operator looks for, in order; the same kid; exit 0', async () => {
    expect(await broker.stop()).toBe(0)
    const lines = broker.log
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { msg: string; kid?: string })
    const messages = lines.map(({ msg }) => msg).filter((msg) => msg !== 'request')
    const { host, hostname } = new URL(broker.url)
    expect(messages).toEqual([
      'OIDC signer ready',
      'AWS credentials: none needed (web identity: each call carries a JWT of this broker)',
      'ledger opened',
      `this ledger is for trying out: its name for life is ${hostname}/ledger. For a real one, set BROKER_OIDC_ISSUER before the first start`,
      'startup STS check passed',
      `broker listening on ${host}`,
      'shutdown signal received; draining in-flight requests',
      'broker shut down cleanly',
    ])
    expect(lines.find(({ msg }) => msg === 'OIDC signer ready')?.kid).toBe(KID)

    broker = await broker.restart()
    world.broker = broker
    const { jwt } = (await broker.post<JwtReply>('/v1/mint-oidc-jwt', BEARER)).body
    expect(decodeProtectedHeader(jwt).kid).toBe(KID)
    await expectVerified(ledger())
  })
})
