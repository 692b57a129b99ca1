// What callers, proxies and session backends send that they should not: a clear answer, and no credential.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { rawRequest, sendRaw } from '../support/raw-http.js'
import { type SessionBackendServer, startSessionBackendServer } from '../support/session-backend-server.js'
import { until } from '../support/until.js'
import { entriesDuring as allEntriesDuring, expectVerified, only } from '../support/audited-ledger.js'

/** Without the counts, which are written once a minute, whenever that is. */
const entriesDuring: typeof allEntriesDuring = async (...call) =>
  (await allEntriesDuring(...call)).filter(({ type }) => type !== 'RefusalsCounted')

const PATH = '/v1/mint-oidc-jwt'
const WALLET = `0x${'ab'.repeat(20)}`
const GOOD = 'a-good-bearer'

let backend: SessionBackendServer
let broker: BrokerProcess

beforeAll(async () => {
  backend = await startSessionBackendServer()
  backend.answers.set(GOOD, { kind: 'session', wallet: WALLET })
  broker = await BrokerProcess.start({
    env: { BROKER_BACKEND_URL: backend.url, BROKER_BACKEND_TIMEOUT_SECONDS: '5' },
  })
})

afterEach(() => expectVerified(broker.dataDir))

afterAll(async () => {
  await broker.dispose()
  await backend.close()
})

const unauthorized = (reason: string, detail: string) => ({
  error: 'unauthorized',
  message: `unauthorized: ${detail}`,
  reason,
})
const MISSING = unauthorized('missing-authorization', 'missing Authorization header')
const MISFORMED = unauthorized(
  'malformed-authorization',
  'the Authorization header must be Bearer, one space and the token, in visible ASCII',
)
const TWICE = unauthorized('malformed-authorization', 'there is more than one Authorization header')
const TOO_LONG = unauthorized('malformed-authorization', 'a bearer has at most 4096 characters')
const MALFORMED = {
  error: 'bad_request',
  message: 'bad request: the request is malformed',
  reason: 'malformed-request',
}
const NO_SUCH_PATH = {
  error: 'not_found',
  message: 'not found: this server has no such path; GET /openapi.json lists those it has',
  reason: 'no-such-path',
}

/** Sends a mint and gives its status and body; an empty body is undefined. */
async function mint(headers: string[], body = '', path = PATH): Promise<[status: number, body: unknown]> {
  const reply = await sendRaw(broker.url, rawRequest(`POST ${path}`, headers, body))
  return [reply.status, reply.body === '' ? undefined : JSON.parse(reply.body)]
}

const bearing = (token: string) => `Authorization: Bearer ${token}`

describe('the bearer', () => {
  const NO_BEARER: [name: string, headers: string[], reply?: object][] = [
    ['no header', [], MISSING],
    ['an empty header', ['Authorization:']],
    ['an empty token', ['Authorization: Bearer ']],
    ['no token', ['Authorization: Bearer']],
    ['another scheme', ['Authorization: Basic YTpi']],
    ['another case', [`Authorization: bearer ${GOOD}`]],
    ['capitals', [`Authorization: BEARER ${GOOD}`]],
    ['two spaces', [`Authorization: Bearer  ${GOOD}`]],
    ['a tab', [`Authorization: Bearer\t${GOOD}`]],
    ['two tokens', [bearing(`${GOOD} ${GOOD}`)]],
    ['a list', [bearing(`${GOOD}, ${bearing(GOOD)}`)]],
    ['non-ASCII', [bearing('café')]],
    ['two headers, good ones', [bearing(GOOD), bearing(GOOD)], TWICE],
    ['two headers, the first one good', [bearing(GOOD), bearing('another')], TWICE],
  ]

  test('in any other form than `Bearer`, a space and the token is a 401 that says what is wrong, and the backend is not asked', async () => {
    const asked = backend.calls.length
    for (const [name, headers, reply = MISFORMED] of NO_BEARER) {
      expect([name, await mint(headers)]).toEqual([name, [401, reply]])
    }
    expect(backend.calls).toHaveLength(asked)
  })

  test('of more than 4,096 characters is refused here; one that fills the headers is refused before it is a request', async () => {
    const asked = backend.calls.length
    expect(await mint([bearing('a'.repeat(4097))])).toEqual([401, TOO_LONG])
    for (const size of [20_000, 1_000_000]) {
      const { status, head, body } = await sendRaw(
        broker.url,
        rawRequest(`POST ${PATH}`, [bearing('a'.repeat(size))]),
      )
      expect(status).toBe(431)
      expect(head).toContain('Connection: close')
      expect(JSON.parse(body)).toEqual({
        error: 'bad_request',
        message: 'bad request: the headers must be at most 16 KiB',
        reason: 'headers-too-large',
      })
    }
    expect(backend.calls).toHaveLength(asked)
  })

  test("that is the broker's own JWT opens nothing", async () => {
    const { jwt } = (await broker.post<{ jwt: string }>(PATH, GOOD)).body
    const [status, body] = await mint([bearing(jwt)])
    expect(status).toBe(401)
    expect(body).toEqual(unauthorized('session-not-valid', 'session not found'))
  })
})

describe('the body', () => {
  const REFUSED: [name: string, body: string, message: string | RegExp][] = [
    ['not JSON', '{"audience":', 'the body is not JSON'],
    ['more after the end', '{} {}', 'the body is not JSON'],
    ['a member twice', '{"role":"a","\\u0072ole":"b"}', 'the body has a member twice'],
    ['UTF-16', '{\0"\0r\0', 'the body is not JSON'],
    ['null', 'null', 'the body must be a JSON object'],
    ['a list', '[{}]', 'the body must be a JSON object'],
    ['a text', '"audience"', 'the body must be a JSON object'],
    ['a number', '1', 'the body must be a JSON object'],
    ['an unknown field', '{"audiance":"x"}', 'there is no field audiance: did you mean audience?'],
    [
      'a known field in another case',
      '{"Audience":"x"}',
      'there is no field Audience: did you mean audience?',
    ],
    ['__proto__', '{"__proto__":{"audience":"x"}}', 'the member __proto__ is not taken'],
    ['__proto__ further down', '{"audience":{"__proto__":1}}', 'the member __proto__ is not taken'],
    [
      'constructor',
      '{"constructor":1}',
      'there is no field constructor; the fields are audience, ttl_seconds, role',
    ],
    [
      'prototype',
      '{"prototype":1}',
      'there is no field prototype; the fields are audience, ttl_seconds, role',
    ],
    ['toString', '{"toString":1}', 'there is no field toString; the fields are audience, ttl_seconds, role'],
    [
      'hasOwnProperty',
      '{"hasOwnProperty":1}',
      'there is no field hasOwnProperty; the fields are audience, ttl_seconds, role',
    ],
    ['null for an optional field', '{"audience":null}', /audience must be a string/],
    ['a number for a text', '{"role":7}', /role must be a string/],
    ['a list for a text', '{"audience":["sts.amazonaws.com"]}', /audience must be a string/],
    ['an object for a text', '{"role":{"$ne":""}}', /role must be a string/],
    ['an empty text', '{"audience":""}', /audience must be a string of 1 to 255 characters/],
    ['a text for a number', '{"ttl_seconds":"300"}', /ttl_seconds must be a whole number/],
    ['a fraction', '{"ttl_seconds":60.5}', /ttl_seconds must be a whole number/],
    ['a number beyond all', '{"ttl_seconds":1e999}', /ttl_seconds must be a whole number/],
    ['a negative number', '{"ttl_seconds":-60}', /ttl_seconds must be a whole number/],
    ['a boolean for a number', '{"ttl_seconds":true}', /ttl_seconds must be a whole number/],
    [
      'objects in objects',
      `{"audience":${'{"a":'.repeat(2500)}1${'}'.repeat(2500)}}`,
      'the body is nested too deeply',
    ],
    [
      'lists in lists',
      `{"audience":${'['.repeat(5000)}${']'.repeat(5000)}}`,
      'the body is nested too deeply',
    ],
  ]

  test('that is no ask is a 400 that names the field, and leaves no entry', async () => {
    const entries = await entriesDuring(broker.dataDir, async () => {
      for (const [name, body, text] of REFUSED) {
        const [status, reply] = await mint([bearing(GOOD), 'Content-Type: application/json'], body)
        const { error, message } = reply as { error: string; message: string }
        const detail = message.slice('bad request: '.length)
        expect([name, status, error]).toEqual([name, 400, 'bad_request'])
        if (typeof text === 'string') expect([name, detail]).toEqual([name, text])
        else expect(detail).toMatch(text)
      }
    })
    expect(entries).toEqual([])
  })

  test('of more than 16 KiB is a 413, with a length given or without', async () => {
    const tooBig = {
      error: 'bad_request',
      message: 'bad request: the body must be at most 16 KiB',
      reason: 'body-too-large',
    }
    const headers = [bearing(GOOD), 'Content-Type: application/json']
    const body = JSON.stringify({ audience: 'x'.repeat(16 * 1024) })
    expect(await mint(headers, body)).toEqual([413, tooBig])
    const chunked = rawRequest(`POST ${PATH}`, [...headers, 'Transfer-Encoding: chunked'])
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const { status, body: answer } = await sendRaw(broker.url, Buffer.concat([chunked, Buffer.from(chunks)]))
    expect([status, JSON.parse(answer)]).toEqual([413, tooBig])
  })

  test('a JSON object is read whatever its content type says; an empty body is the defaults', async () => {
    const asked = async (headers: string[], body: string) => {
      const [status, reply] = await mint([bearing(GOOD), ...headers], body)
      expect(status).toBe(200)
      const [, claims = ''] = (reply as { jwt: string }).jwt.split('.')
      const { iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, number>
      return Number(exp) - Number(iat)
    }
    const form = 'Content-Type: application/x-www-form-urlencoded'
    expect(await asked([], '{"ttl_seconds":60}')).toBe(60)
    expect(await asked([form], '{"ttl_seconds":60}')).toBe(60)
    expect(await asked(['Content-Type: application/json; charset=utf-8'], '{"ttl_seconds":60}')).toBe(60)
    expect(await asked([form], '')).toBe(300)
    expect(await asked(['Content-Type: application/json'], '')).toBe(300)
    expect(await asked(['Content-Type: application/json'], '{}')).toBe(300)
  })

  test.each([
    ['a form', ['Content-Type: application/x-www-form-urlencoded'], 'role=x&ttl_seconds=60'],
    ['multipart', ['Content-Type: multipart/form-data; boundary=b'], '--b\r\n\r\n--b--'],
    ['XML', ['Content-Type: application/xml'], '<role/>'],
    ['plain text', [], 'hello'],
    ['gzip', ['Content-Type: application/json', 'Content-Encoding: gzip'], '\x1f\x8b'],
    ['another charset', ['Content-Type: application/json; charset=utf-16'], '{}'],
  ])('%s is a 415 that says what is read, and leaves no entry', async (_name, headers, body) => {
    const entries = await entriesDuring(broker.dataDir, async () => {
      const [status, reply] = await mint([bearing(GOOD), ...headers], body)
      expect([status, reply]).toEqual([
        415,
        {
          error: 'bad_request',
          message: expect.stringMatching(/^bad request: the body must /),
          reason: 'body-unsupported',
        },
      ])
    })
    expect(entries).toEqual([])
  })
})

/** The id of a reply is in the log too. */
async function expectCommonHeaders(head: string): Promise<void> {
  const id = /^x-request-id: ([0-9a-f-]{36})\r?$/im.exec(head)?.[1]
  expect([head, id]).toEqual([head, expect.any(String)])
  expect(head).toMatch(/^x-content-type-options: nosniff\r?$/im)
  await until(() => broker.log.includes(`"requestId":"${id}"`))
}

describe('a page of another site', () => {
  const origin = 'Origin: https://auditor.example'
  const preflight = [origin, 'Access-Control-Request-Method: GET']
  const corsOf = (head: string) => head.match(/^access-control-[\w-]+: .*(?=\r)/gim) ?? []

  test.each([
    ['/.well-known/jwks.json'],
    ['/.well-known/openid-configuration'],
    ['/ledger/checkpoint'],
    ['/ledger/vkey'],
    ['/ledger/tile/0/000.p/1'],
    ['/ledger/tile/7/000'],
    ['/openapi.json'],
    ['/'],
  ])('may read %s, and gets an answer that says so when it asks', async (path) => {
    const { head } = await sendRaw(broker.url, rawRequest(`GET ${path}`, [origin]))
    expect(head).toMatch(/^access-control-allow-origin: \*\r$/im)
    const asked = await sendRaw(broker.url, rawRequest(`OPTIONS ${path}`, preflight))
    expect([asked.status, asked.body]).toEqual([204, ''])
    expect(asked.head).toMatch(/^access-control-allow-methods: GET, HEAD\r$/im)
    expect(asked.head).not.toMatch(/authorization|allow-credentials/i)
  })

  test.each([
    [`POST ${PATH}`],
    [`OPTIONS ${PATH}`],
    ['GET /v1/audit/mints'],
    ['OPTIONS /v1/audit/mints'],
    ['GET /ledger/tile/entries/000.p/1'],
    ['OPTIONS /ledger/tile/entries/000.p/1'],
    ['GET /metrics'],
    ['GET /ledger%2fcheckpoint'],
    ['GET //ledger/checkpoint'],
  ])('never reads %s, which may take a bearer or is no public route', async (line) => {
    const { status, head } = await sendRaw(broker.url, rawRequest(line, [bearing(GOOD), ...preflight]))
    expect(corsOf(head)).toEqual([])
    if (line.startsWith('OPTIONS')) expect(status).toBe(405)
  })
})

describe('the request', () => {
  test.each([
    ['a query', [], `${PATH}?ttl_seconds=60`, 'a POST takes no query: send the fields as a JSON object'],
    ['a second Host', ['Host: a.test', 'Host: b.test'], PATH, 'there is more than one host header'],
    [
      'a second Content-Type',
      ['Content-Type: application/json', 'Content-Type: text/xml'],
      PATH,
      'there is more than one content-type header',
    ],
    [
      'another transfer encoding',
      ['Transfer-Encoding: gzip, chunked'],
      PATH,
      'the only transfer encoding that is read is chunked',
    ],
  ])('with %s is a 400, and mints nothing', async (_name, headers, path, detail) => {
    const entries = await entriesDuring(broker.dataDir, async () => {
      expect(await mint([bearing(GOOD), ...headers], '', path)).toEqual([
        400,
        {
          error: 'bad_request',
          message: `bad request: ${detail}`,
          reason: path.includes('?') ? 'query-not-allowed' : 'ambiguous-request',
        },
      ])
    })
    expect(entries).toEqual([])
  })

  test.each([
    [200, `POST ${PATH}`, [bearing(GOOD)]],
    [401, `POST ${PATH}`, []],
    [400, `POST ${PATH}?a=1`, []],
    [404, 'GET /nope', []],
    [404, 'GET /%zz', []],
    [404, 'GET /v1%2fmint-oidc-jwt', []],
    [405, `PUT ${PATH}`, []],
    [200, 'GET /healthz', []],
    [200, 'GET /metrics', []],
    [200, 'GET /openapi.json', []],
    [200, 'GET /ledger/checkpoint', []],
    [431, `POST ${PATH}`, [bearing('a'.repeat(20_000))]],
  ])(
    'has its id in the reply (%i to %s) and in the log; no reply is sniffed',
    async (status, line, headers) => {
      const reply = await sendRaw(broker.url, rawRequest(line, headers))
      expect(reply.status).toBe(status)
      await expectCommonHeaders(reply.head)
      if (/^content-type: application\/json/im.test(reply.head)) expect(reply.body).toMatch(/\n$/)
    },
  )

  test('without a valid bearer gets WWW-Authenticate', async () => {
    const challenges = async (headers: string[]) =>
      /^www-authenticate: (.*)\r?$/im.exec(
        (await sendRaw(broker.url, rawRequest(`POST ${PATH}`, headers))).head,
      )?.[1]
    expect(await challenges([])).toBe('Bearer realm="agentkeys-broker"')
    expect(await challenges([bearing('unknown')])).toBe(
      'Bearer realm="agentkeys-broker", error="invalid_token"',
    )
    expect(await challenges([bearing(GOOD)])).toBeUndefined()
  })

  test('that is no HTTP, or two at once, is a 400 in our words', async () => {
    const ambiguous = [bearing(GOOD), 'Content-Length: 3', 'Transfer-Encoding: chunked']
    for (const bytes of [
      'hello\r\n\r\n',
      rawRequest(`POST ${PATH}`, ambiguous),
      rawRequest(`POST ${PATH}`, [bearing(GOOD), 'Content-Length: 0', 'Content-Length: 5']),
      rawRequest(`POST ${PATH}`, [bearing(GOOD), 'Content-Length: -1']),
    ]) {
      const { status, head, body } = await sendRaw(broker.url, bytes)
      expect([status, JSON.parse(body)]).toEqual([400, MALFORMED])
      await expectCommonHeaders(head)
    }
  })

  const OTHER_SPELLINGS = [
    '/v1//mint-oidc-jwt',
    '//v1/mint-oidc-jwt',
    '/v1/mint-oidc-jwt/',
    '/v1/./mint-oidc-jwt',
    '/v1/x/../mint-oidc-jwt',
    '/v1/x/%2e%2e/mint-oidc-jwt',
    '/v1/mint%2doidc-jwt',
    '/v1%2fmint-oidc-jwt',
    '/v1/mint-oidc-jwt%00',
    '/v1/mint-oidc-jwt;x=1',
    '/v1\\mint-oidc-jwt',
    '/V1/mint-oidc-jwt',
    '/%zz',
  ]

  test('for a path that is spelt differently is a 404, whatever a proxy may make of it', async () => {
    const entries = await entriesDuring(broker.dataDir, async () => {
      for (const path of OTHER_SPELLINGS) {
        expect([path, await mint([bearing(GOOD)], '', path)]).toEqual([path, [404, NO_SUCH_PATH]])
      }
    })
    expect(entries).toEqual([])
  })

  test('says nothing of what the issuer is: Host and X-Forwarded-Host are not believed', async () => {
    const headers = [
      'Host: evil.example.com',
      'X-Forwarded-Host: evil.example.com',
      'X-Forwarded-Proto: https',
    ]
    const [status, reply] = await mint([...headers, bearing(GOOD)])
    expect(status).toBe(200)
    const [, claims = ''] = (reply as { jwt: string }).jwt.split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ iss: broker.url })
    for (const path of ['/.well-known/openid-configuration', '/openapi.json']) {
      const { body } = await sendRaw(broker.url, rawRequest(`GET ${path}`, headers))
      expect(body).not.toContain('evil.example.com')
    }
    const absolute = await mint(
      [bearing(GOOD)],
      '',
      'http://evil.example.com/.well-known/openid-configuration',
    )
    expect(absolute[0]).toBe(405)
  })
})

describe('the session backend', () => {
  test('may answer 201, and spell the wallet in mixed case: it is lower-cased everywhere', async () => {
    const mixed = '0xAbCdEf0123456789aBcDeF0123456789ABCDEF01'
    backend.answers.set('mixed', {
      kind: 'reply',
      status: 201,
      body: JSON.stringify({ wallet: mixed, x: 1 }),
    })
    let jwt = ''
    const entries = await entriesDuring(broker.dataDir, async () => {
      const { status, body } = await broker.post<{ jwt: string; wallet: string }>(PATH, 'mixed')
      expect([status, body.wallet]).toEqual([200, mixed.toLowerCase()])
      jwt = body.jwt
    })
    const claims = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()
    expect(claims.match(new RegExp(mixed, 'gi'))).toEqual(Array(4).fill(mixed.toLowerCase()))
    expect(only(entries, 'SessionValidated').wallet).toBe(mixed.toLowerCase())
    expect(only(entries, 'JwtIssued').wallet).toBe(mixed.toLowerCase())
  })

  test('that answers with no wallet, or not at all, is a 502, and nothing is minted', async () => {
    const bad = 'backend answered with a wallet that is not 0x and 40 hex digits'
    const none = 'backend answered without a wallet'
    const cases: [string, Parameters<typeof backend.answers.set>[1], string][] = [
      ['shorter', { kind: 'session', wallet: WALLET.slice(0, -1) }, bad],
      ['newline', { kind: 'session', wallet: `${WALLET}\n` }, bad],
      ['wide-digits', { kind: 'session', wallet: WALLET.replace('ab', '\uff41\uff42') }, bad],
      ['capital-X', { kind: 'session', wallet: WALLET.replace('x', 'X') }, bad],
      ['name', { kind: 'session', wallet: 'alice' }, bad],
      ['list', { kind: 'session', wallet: [WALLET] }, none],
      ['null', { kind: 'session', wallet: null }, none],
      ['inherited', { kind: 'reply', status: 200, body: `{"__proto__":{"wallet":"${WALLET}"}}` }, none],
      ['redirect', { kind: 'reply', status: 302, headers: { location: '/' } }, 'backend returned 302'],
      ['forbidden', { kind: 'reply', status: 403 }, 'backend returned 403'],
      ['limited', { kind: 'reply', status: 429 }, 'backend returned 429'],
      [
        'failing',
        { kind: 'reply', status: 500, body: '{"message":"secret detail"}' },
        'backend returned 500',
      ],
      ['slow', { kind: 'silent' }, 'no answer within 5000 ms'],
      ['trickling', { kind: 'trickle' }, 'no answer within 5000 ms'],
    ]
    const entries = await entriesDuring(broker.dataDir, async () => {
      for (const [bearer, answer, detail] of cases) {
        backend.answers.set(bearer, answer)
        const { status, body } = await broker.post<{ message: string }>(PATH, bearer)
        expect([bearer, status]).toEqual([bearer, 502])
        expect(body).toEqual({
          error: 'backend_unreachable',
          message: `backend unreachable: ${detail}`,
          reason: 'backend-unreachable',
        })
      }
      // Which of two codes a reset has is a matter of when it is noticed.
      backend.answers.set('resetting', { kind: 'reset', when: 'within-the-body' })
      const { status, body } = await broker.post<{ message: string }>(PATH, 'resetting')
      expect([status, body.message]).toEqual([
        502,
        expect.stringMatching(/^backend unreachable: request failed \((?:ECONNRESET|UND_ERR_SOCKET)\)$/),
      ])
    })
    expect(entries).toEqual([])
  })

  test('that is gone is a 502 and not ready; what it said before counts for nothing', async () => {
    expect((await broker.post(PATH, GOOD)).status).toBe(200)
    await backend.close()
    expect(await broker.post(PATH, GOOD)).toMatchObject({
      status: 502,
      body: { error: 'backend_unreachable', message: expect.stringMatching(/ECONNREFUSED|UND_ERR_SOCKET/) },
    })
    expect(await broker.get('/readyz')).toMatchObject({
      status: 503,
      body: { backend_ok: false, sts_ok: true },
    })
    expect((await broker.get('/.well-known/jwks.json')).status).toBe(200)
    backend = await startSessionBackendServer()
  })
})
