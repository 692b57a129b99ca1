import { once } from 'node:events'
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Logger } from '@nestjs/common'

import { openLog } from '../logging.js'
import { VERSION } from '../version.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import type { IssuedSession } from '../session/session-store.js'
import { HttpSessionBackend } from '../session/http-backend.js'
import { FileToken } from '../storage/token-file.js'
import { until } from '../../test/support/until.js'
import { type SessionListener, startSessionListener } from './session-listener.js'

const ROUTER_TOKEN = 'd'.repeat(64)
const SETTINGS = {
  mailDomain: 'agentkeys-email.io',
  mailRouterToken: new FileToken(ROUTER_TOKEN),
  sessionUrl: undefined,
  exposed: false,
}
const lines: string[] = []
const LOG = openLog('info', { write: (line) => void lines.push(line) })

let folder: string
let now: Date
let sessions: EmbeddedSessions
let listener: SessionListener

beforeEach(async () => {
  Logger.overrideLogger(false)
  lines.length = 0
  folder = mkdtempSync(join(tmpdir(), 'sessions-'))
  now = new Date('2030-01-01T00:00:00.000Z')
  sessions = new EmbeddedSessions(join(folder, 'sessions.sqlite'), () => now)
  listener = await startSessionListener(sessions, { host: '127.0.0.1', port: 0 }, SETTINGS, LOG)
})
afterEach(async () => {
  await listener.close()
  await sessions.close()
  rmSync(folder, { recursive: true })
})

interface Call {
  method?: string
  headers?: Record<string, string>
  /** Text is sent as it is, anything else as JSON. */
  body?: unknown
}

async function exchange(path: string, { method, headers = {}, body }: Call = {}) {
  const url = new URL(path, listener.url)
  const sent = request(url, { method: method ?? (body === undefined ? 'GET' : 'POST'), agent: false })
  if (body !== undefined) sent.setHeader('content-type', 'application/json')
  for (const [name, value] of Object.entries(headers)) sent.setHeader(name, value)
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>
  sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  const [response] = await answered
  const content = await text(response)
  const json = /json/.test(response.headers['content-type'] ?? '')
  const parsed: unknown = json ? JSON.parse(content) : content
  return { status: response.statusCode, body: parsed, headers: response.headers, content }
}

async function send(path: string, call: Call = {}) {
  const { status, body } = await exchange(path, call)
  return { status, body }
}

const bearer = ({ session }: { session: string }) => ({ authorization: `Bearer ${session}` })
const problem = (status: number, code: string, message: unknown = expect.any(String)) => ({
  status,
  body: { error: code, code, message, reason: expect.stringMatching(/^[a-z-]+$/) },
})
async function created(authToken: string): Promise<IssuedSession> {
  return (await send('/session/create', { body: { auth_token: authToken } })).body as IssuedSession
}

describe('POST /session/create', () => {
  test('gives a session that validates to its wallet', async () => {
    const { status, body } = await send('/session/create', { body: { auth_token: 'alice' } })
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        session: expect.stringMatching(/^[0-9a-f]{64}$/),
        wallet: expect.stringMatching(/^0x[0-9a-f]{40}$/),
      },
    })
    const { session, wallet } = body as IssuedSession
    expect(await send('/session/validate', { headers: bearer({ session }) })).toEqual({
      status: 200,
      body: { wallet },
    })
  })

  test('with the same auth token gives the same wallet and a new session', async () => {
    const [first, second] = [await created('alice'), await created('alice')]
    expect(second.wallet).toBe(first.wallet)
    expect(second.session).not.toBe(first.session)
  })

  test.each([[''], ['invalid']])('with the auth token %j is unauthorized', async (auth_token) => {
    expect(await send('/session/create', { body: { auth_token } })).toEqual(
      problem(401, 'UNAUTHORIZED', 'auth token not valid'),
    )
  })

  test.each([
    ['nothing in it', {}, 'auth_token is missing'],
    ['a number for a token', { auth_token: 1 }, 'auth_token must be'],
    ['null for a token', { auth_token: null }, 'auth_token must be'],
    ['a list for a token', { auth_token: ['alice'] }, 'auth_token must be'],
    [
      'a token of 4,097 characters',
      { auth_token: 'a'.repeat(4097) },
      'auth_token must be a string of 0 to 4096 characters',
    ],
    ['an unknown field', { auth_token: 'alice', admin: true }, 'there is no field admin'],
    ['a field called constructor', '{"auth_token":"alice","constructor":1}', 'there is no field constructor'],
    ['a field called prototype', { auth_token: 'alice', prototype: 1 }, 'there is no field prototype'],
    ['a member twice', '{"auth_token":"alice","\\u0061uth_token":"bob"}', 'the body has a member twice'],
    [
      '5,000 levels',
      `{"auth_token":${'['.repeat(5000)}${']'.repeat(5000)}}`,
      'the body is nested too deeply',
    ],
    ['__proto__', '{"auth_token":"alice","__proto__":{"admin":true}}', 'the member __proto__ is not taken'],
    [
      '__proto__ in escapes',
      '{"auth_token":"alice","\\u005f_proto__":{"a":1}}',
      'the member __proto__ is not taken',
    ],
    ['a list', [{ auth_token: 'alice' }], ''],
    ['a string', '"alice"', ''],
    ['null', 'null', ''],
    ['no end', '{"auth_token":"alice"', 'the body is not JSON'],
    ['no content', '', ''],
  ])('with a body with %s is a bad request', async (_what, body, message) => {
    expect(await send('/session/create', { body })).toEqual(
      problem(400, 'BAD_REQUEST', expect.stringContaining(message)),
    )
  })

  test('answers a field name of any length with a short message', async () => {
    const { body } = await send('/session/create', {
      body: { auth_token: 'alice', [`${'x'.repeat(9000)}\n`]: 1 },
    })
    expect((body as { message: string }).message).toHaveLength(200)
  })

  test('takes a body of 16 KiB and no more', async () => {
    const padded = (size: number) => JSON.stringify({ auth_token: 'alice' }).padEnd(size, ' ')
    expect(await send('/session/create', { body: padded(16 * 1024) })).toMatchObject({ status: 200 })
    expect(await send('/session/create', { body: padded(16 * 1024 + 1) })).toEqual(
      problem(413, 'PAYLOAD_TOO_LARGE', 'the body must be 16 KiB at most'),
    )
  })
})

describe('GET /session/validate', () => {
  const MISSING = 'missing Authorization header'
  const MALFORMED = 'the Authorization header must be Bearer, one space and the token, in visible ASCII'
  test.each([
    ['no header', {}, 'missing-authorization', MISSING],
    ['another scheme', { authorization: 'Basic YTpi' }, 'malformed-authorization', MALFORMED],
    ['the scheme in lower case', { authorization: 'bearer abc' }, 'malformed-authorization', MALFORMED],
    ['the scheme alone', { authorization: 'Bearer' }, 'malformed-authorization', MALFORMED],
    ['two spaces', { authorization: 'Bearer  abc' }, 'malformed-authorization', MALFORMED],
    [
      'a long bearer',
      { authorization: `Bearer ${'a'.repeat(4097)}` },
      'malformed-authorization',
      'a bearer has at most 4096 characters',
    ],
  ])('with %s is a 401 that says what is wrong', async (_what, headers, reason, message) => {
    const reply = await exchange('/session/validate', { headers })
    expect(reply).toMatchObject({ status: 401, body: { error: 'UNAUTHORIZED', reason, message } })
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer realm=/)
  })

  test('says whether a session is unknown, revoked or expired', async () => {
    const [one, two] = [await created('alice'), await created('alice')]
    const validate = (of: { session: string }) => send('/session/validate', { headers: bearer(of) })
    expect(await validate({ session: '0'.repeat(64) })).toEqual(
      problem(401, 'UNAUTHORIZED', 'session not found'),
    )
    await send('/session/revoke', { headers: bearer(one), body: { target_session: one.session } })
    expect(await validate(one)).toEqual(problem(401, 'UNAUTHORIZED', 'session revoked'))
    now = new Date(now.getTime() + 31 * 86_400_000)
    expect(await validate(two)).toEqual(problem(401, 'UNAUTHORIZED', 'session expired'))
    expect(await validate({ session: 'a b' })).toEqual(problem(401, 'UNAUTHORIZED', MALFORMED))
  })

  test('is a 500 without details when the store fails', async () => {
    const one = await created('alice')
    await sessions.close()
    expect(await send('/session/validate', { headers: bearer(one) })).toEqual(
      problem(500, 'INTERNAL_ERROR', 'internal error'),
    )
  })
})

describe('POST /session/child', () => {
  const scope = { services: ['mail'], read_only: true }

  test('gives a session of a wallet of its own', async () => {
    const parent = await created('alice')
    const { status, body } = await send('/session/child', { headers: bearer(parent), body: { scope } })
    expect(status).toBe(200)
    const child = body as IssuedSession
    expect(child.wallet).not.toBe(parent.wallet)
    expect(await send('/session/validate', { headers: bearer(child) })).toEqual({
      status: 200,
      body: {
        ...{ wallet: child.wallet, scope },
        parents: [{ wallet: parent.wallet, session_sha256: hash('sha256', parent.session) }],
      },
    })
  })

  test('that would widen its own scope is denied', async () => {
    const parent = await created('alice')
    const child = (await send('/session/child', { headers: bearer(parent), body: { scope } }))
      .body as IssuedSession
    const wider = { scope: { services: ['mail', 'git'], read_only: true } }
    expect(await send('/session/child', { headers: bearer(child), body: wider })).toEqual(
      problem(403, 'DENIED', 'scope.services: not all are in the scope of the parent'),
    )
  })

  test('without a session is unauthorized', async () => {
    expect(await send('/session/child', { body: { scope } })).toMatchObject(problem(401, 'UNAUTHORIZED'))
  })

  test.each([
    ['no scope', {}, 'scope is missing'],
    ['null for a scope', { scope: null }, 'scope'],
    ['a list for a scope', { scope: [scope] }, 'scope'],
    ['a string for a scope', { scope: 'mail' }, 'scope'],
    ['no services', { scope: { read_only: true } }, 'scope: '],
    [
      'a service that is a number',
      { scope: { services: [1], read_only: true } },
      'scope: services must be a list',
    ],
    [
      'a service with a slash',
      { scope: { services: ['a/b'], read_only: true } },
      'scope: services must be a list',
    ],
    [
      'a service that ends a line',
      { scope: { services: ['a\n'], read_only: true } },
      'scope: services must be a list',
    ],
    [
      'too many services',
      { scope: { services: Array(65).fill('a'), read_only: true } },
      'scope: services must be a list',
    ],
    [
      'text for read_only',
      { scope: { services: [], read_only: 'true' } },
      'scope: read_only must be true or false',
    ],
    ['a field more in the scope', { scope: { ...scope, admin: 1 } }, 'scope: there is no field admin'],
    [
      'constructor in the scope',
      { scope: { ...scope, constructor: 1 } },
      'scope: there is no field constructor',
    ],
    ['a field more', { scope, ttl: 1 }, 'there is no field ttl'],
  ])('with %s is a bad request that names it', async (_what, body, message) => {
    expect(await send('/session/child', { headers: bearer(await created('alice')), body })).toEqual(
      problem(400, 'BAD_REQUEST', expect.stringContaining(message)),
    )
  })
})

describe('POST /session/revoke', () => {
  test('ends one session by its token', async () => {
    const [one, two] = [await created('alice'), await created('alice')]
    expect(
      await send('/session/revoke', { headers: bearer(one), body: { target_session: two.session } }),
    ).toEqual({
      status: 200,
      body: { ok: true },
    })
    expect(await send('/session/validate', { headers: bearer(two) })).toMatchObject({ status: 401 })
    expect(await send('/session/validate', { headers: bearer(one) })).toMatchObject({ status: 200 })
  })

  test('ends all of a wallet, in any spelling of it, and counts them', async () => {
    const [one] = [await created('alice'), await created('alice')]
    const target_wallet = `0x${one.wallet.slice(2).toUpperCase()}`
    expect(await send('/session/revoke', { headers: bearer(one), body: { target_wallet } })).toEqual({
      status: 200,
      body: { ok: true, sessions_revoked: 2 },
    })
  })

  test('of what belongs to another wallet is denied, and of nothing is not found', async () => {
    const [alice, bob] = [await created('alice'), await created('bob')]
    const revoke = (body: object) => send('/session/revoke', { headers: bearer(bob), body })
    const denied = problem(403, 'DENIED', 'the session belongs to another wallet')
    expect(await revoke({ target_session: alice.session })).toEqual(denied)
    expect(await revoke({ target_wallet: alice.wallet })).toEqual(denied)
    const missing = problem(404, 'NOT_FOUND', 'no such session')
    expect(await revoke({ target_session: '0'.repeat(64) })).toEqual(missing)
    expect(await revoke({ target_wallet: `0x${'0'.repeat(40)}` })).toEqual(missing)
    expect(await send('/session/validate', { headers: bearer(alice) })).toMatchObject({ status: 200 })
  })

  const wallet = `0x${'0'.repeat(40)}`
  test.each([
    ['neither target', {}, 'exactly one of'],
    ['both targets', { target_session: 'a', target_wallet: wallet }, 'exactly one of'],
    [
      'null for one of them',
      { target_session: 'a', target_wallet: null },
      'target_wallet must be 0x and 40 hex digits',
    ],
    ['a wallet that is none', { target_wallet: `${wallet}\n` }, 'target_wallet must be 0x and 40 hex digits'],
    ['a wallet in a list', { target_wallet: [wallet] }, 'target_wallet must be 0x and 40 hex digits'],
    ['a session that is an object', { target_session: {} }, 'target_session must be'],
  ])('with %s is a bad request', async (_what, body, message) => {
    expect(await send('/session/revoke', { headers: bearer(await created('alice')), body })).toEqual(
      problem(400, 'BAD_REQUEST', expect.stringContaining(message)),
    )
  })

  test('without a session is unauthorized', async () => {
    expect(await send('/session/revoke', { body: { target_session: 'a' } })).toMatchObject(
      problem(401, 'UNAUTHORIZED'),
    )
  })
})

describe('every other request', () => {
  test('GET / says what this is, and where its description is', async () => {
    expect(await send('/')).toEqual({
      status: 200,
      body: { name: 'AgentKeys session backend', version: VERSION, description: '/openapi.json' },
    })
  })

  test.each([['/healthz'], ['/health']])('%s is the text ok', async (path) => {
    expect(await send(path)).toEqual({ status: 200, body: 'ok' })
  })

  test.each([
    ['GET', '/session/validate/'],
    ['GET', '/session%2fvalidate'],
    ['GET', '//session/validate'],
  ])('%s %s is no route, and its path is not repeated', async (method, path) => {
    expect(await send(listener.url + path, { method })).toEqual(problem(404, 'NOT_FOUND', 'no such route'))
  })

  test.each([
    ['GET', '/session/create', 'POST'],
    ['DELETE', '/session/revoke', 'POST'],
    ['POST', '/session/validate', 'GET, HEAD'],
    ['DELETE', '/session/scope', 'GET, HEAD, PUT'],
  ])('%s %s is a 405 that says which methods there are', async (method, path, allow) => {
    const reply = await exchange(path, { method, headers: { 'content-type': 'application/json' } })
    expect({ status: reply.status, body: reply.body }).toEqual(
      problem(405, 'METHOD_NOT_ALLOWED', `this path takes ${allow}`),
    )
    expect(reply.headers.allow).toBe(allow)
  })

  test.each([
    ['/healthz', {}],
    ['/session/validate', {}],
    ['/nowhere', {}],
    ['/%zz', {}],
    ['/session/create', { body: { auth_token: 'alice' } }],
    ['/healthz', { headers: { host: 'attacker.example' } }],
  ])('the reply to %s %j has an id that the log has, and is not to be sniffed', async (path, call: Call) => {
    const { headers, body, content } = await exchange(path, call)
    const id = headers['x-request-id']
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(headers['x-content-type-options']).toBe('nosniff')
    await until(() => lines.some((line) => line.includes(`"requestId":"${String(id)}"`)))
    if (typeof body === 'object') expect(content).toMatch(/\}\n$/)
  })

  test('a query of a POST is refused', async () => {
    expect(await send('/session/create?auth_token=bob', { body: { auth_token: 'alice' } })).toEqual(
      problem(400, 'BAD_REQUEST', 'a POST takes no query: send the fields as a JSON object'),
    )
  })

  test('what is no HTTP is a 400 in the words of this API', async () => {
    const { hostname, port } = new URL(listener.url)
    const socket = connect(Number(port), hostname)
    socket.end('hello\r\n\r\n')
    const reply = await text(socket)
    expect(reply).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
    expect(reply).toMatch(/^X-Request-Id: [0-9a-f-]{36}\r$/m)
    expect(JSON.parse(reply.split('\r\n\r\n')[1] as string)).toEqual(
      problem(400, 'BAD_REQUEST', 'the request is malformed').body,
    )
  })

  test.each([
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['application/jsonp'],
    [''],
  ])('a POST of the content type %j is refused', async (type) => {
    const call = { headers: { 'content-type': type }, body: { auth_token: 'alice' } }
    expect(await send('/session/create', call)).toEqual(
      problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'the content type must be application/json'),
    )
  })

  test('a POST without a body and a content type is refused', async () => {
    expect(await send('/session/create', { method: 'POST' })).toMatchObject(
      problem(415, 'UNSUPPORTED_MEDIA_TYPE'),
    )
  })

  test('a charset after the content type is fine', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    expect(await send('/session/create', { headers, body: { auth_token: 'alice' } })).toMatchObject({
      status: 200,
    })
  })
})

describe('a web page on this machine', () => {
  const notLoopback = problem(
    403,
    'DENIED',
    'the Host header must be a loopback address or localhost; behind a proxy, set BROKER_SESSION_URL',
  )

  test.each([
    ['attacker.example'],
    ['attacker.example:8090'],
    ['127.0.0.1.attacker.example'],
    ['localhost.attacker.example'],
    ['app.localhost'],
    ['127.0.0.1@attacker.example'],
    ['127.1'],
    ['2130706433'],
    ['0.0.0.0'],
    ['192.168.1.10:8090'],
    ['[::ffff:192.168.1.10]'],
    ['[::]'],
    ['127.0.0.1:8090:1'],
  ])('that rebinds its name gets nothing: Host %s', async (host) => {
    for (const call of [{ body: { auth_token: 'alice' } }, { body: undefined }])
      expect(await send('/session/create', { ...call, headers: { host } })).toEqual(notLoopback)
    for (const path of ['/session/validate', '/healthz', '/nowhere'])
      expect(await send(path, { headers: { host } })).toEqual(notLoopback)
  })

  test.each([['localhost'], ['LOCALHOST:1234'], ['127.0.0.1'], ['127.8.9.10:80'], ['[::1]'], ['[::1]:8090']])(
    'is not who says Host %s',
    async (host) => {
      expect(
        await send('/session/create', { headers: { host }, body: { auth_token: 'alice' } }),
      ).toMatchObject({
        status: 200,
      })
    },
  )

  test.each([
    ['https://attacker.example'],
    ['null'],
    ['http://localhost:3000'],
    ['http://127.0.0.1:8090'],
    [''],
  ])('is turned away by its Origin %j, whatever it is', async (origin) => {
    const denied = problem(403, 'DENIED', 'requests from web pages are not served')
    expect(await send('/session/create', { headers: { origin }, body: { auth_token: 'alice' } })).toEqual(
      denied,
    )
    expect(await send('/healthz', { headers: { origin } })).toEqual(denied)
  })

  test('gets no answer to a preflight', async () => {
    const headers = { origin: 'https://attacker.example', 'access-control-request-method': 'POST' }
    expect(await send('/session/create', { method: 'OPTIONS', headers })).toMatchObject({ status: 403 })
  })

  test.each([
    [
      'two Host headers',
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: attacker.example\r\n',
      /^HTTP\/1.1 40[03] /,
    ],
    [
      'two good Host headers',
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n',
      /^HTTP\/1.1 40[03] /,
    ],
    ['no Host header', 'GET /healthz HTTP/1.1\r\n', /^HTTP\/1.1 400 /],
    ['no Host header, as HTTP/1.0 allows', 'GET /healthz HTTP/1.0\r\n', /^HTTP\/1.1 403 /],
    ['one good Host header', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n', /^HTTP\/1.1 200 /],
  ])('cannot hide behind %s', async (_what, head, status) => {
    const { hostname, port } = new URL(listener.url)
    const socket = connect(Number(port), hostname)
    socket.write(`${head}Connection: close\r\n\r\n`)
    expect(await text(socket)).toMatch(status)
  })
})

describe('GET /inbox/owner', () => {
  const owner = (address: string, token: string) =>
    send(`/inbox/owner?address=${encodeURIComponent(address)}`, {
      headers: { authorization: `Bearer ${token}` },
    })

  test('names the wallet of an inbox to the mail router, and to no session', async () => {
    const ann = await created('ann')
    const body = { agent_id: ann.wallet }
    const inbox = await send('/mock/inbox/provision', { headers: bearer(ann), body })
    const { address } = inbox.body as { address: string }
    expect(await owner(address, ROUTER_TOKEN)).toEqual({ status: 200, body: { wallet: ann.wallet } })
    expect((await owner(address.toUpperCase(), ROUTER_TOKEN)).status).toBe(200)
    expect(await owner('bot-0@agentkeys-email.io', ROUTER_TOKEN)).toMatchObject({
      status: 404,
      body: { reason: 'no-such-thing' },
    })
    for (const token of [ann.session, 'e'.repeat(64)])
      expect(await owner(address, token)).toEqual(problem(401, 'UNAUTHORIZED'))
    expect(
      (
        await send('/inbox/owner?address=a&address=b', {
          headers: { authorization: `Bearer ${ROUTER_TOKEN}` },
        })
      ).status,
    ).toBe(400)
  })
})

describe('the address', () => {
  test.each([
    ['0.0.0.0'],
    ['::'],
    ['192.168.1.10'],
    ['broker.example.com'],
    [''],
    ['localhost.example.com'],
    ['127.1'],
    ['::ffff:127.0.0.1'],
  ])('%j is refused at start, and the way out is named', async (host) => {
    await expect(startSessionListener(sessions, { host, port: 0 }, SETTINGS, LOG)).rejects.toThrow(
      `${JSON.stringify(host)} is not a loopback address: bind it to 127.0.0.1 or [::1], or set BROKER_BACKEND_URL`,
    )
  })

  test.each([['localhost'], ['127.0.0.2']])('%s is served', async (host) => {
    const other = await startSessionListener(sessions, { host, port: 0 }, SETTINGS, LOG)
    expect(other.url).toMatch(/^http:\/\/127\.0\.0\.[12]:\d+$/)
    expect(await (await fetch(`${other.url}/healthz`)).text()).toBe('ok')
    await other.close()
  })

  const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  )
  const testIpv6 = hasIpv6 ? test : test.skip
  testIpv6('::1 is served, where the machine has it', async () => {
    const other = await startSessionListener(sessions, { host: '::1', port: 0 }, SETTINGS, LOG)
    expect(await (await fetch(`${other.url}/healthz`)).text()).toBe('ok')
    await other.close()
  })

  test('a port that is taken rejects, and does not end the process', async () => {
    const port = Number(new URL(listener.url).port)
    await expect(startSessionListener(sessions, { host: '127.0.0.1', port }, SETTINGS, LOG)).rejects.toThrow(
      'EADDRINUSE',
    )
  })

  test('a listener that was closed can be started again on its port', async () => {
    const port = Number(new URL(listener.url).port)
    await listener.close()
    listener = await startSessionListener(sessions, { host: '127.0.0.1', port }, SETTINGS, LOG)
    expect(await send('/healthz')).toEqual({ status: 200, body: 'ok' })
  })
})

test('the HTTP backend of another broker can be pointed here', async () => {
  const backend = new HttpSessionBackend({ url: listener.url, timeoutMs: 20_000 })
  const { session, wallet } = await created('alice')
  expect(await backend.validate(session)).toEqual({ wallet, backend: listener.url })
  expect(await backend.healthy()).toBe(true)
  await send('/session/revoke', { headers: bearer({ session }), body: { target_session: session } })
  await expect(backend.validate(session)).rejects.toMatchObject({
    code: 'unauthorized',
    message: 'session revoked',
  })
  await sessions.close()
  await expect(backend.validate(session)).rejects.toMatchObject({ message: 'backend returned 500' })
  await backend.close()
})

test('no token reaches a log, whatever goes wrong', async () => {
  const collect = (...said: unknown[]) => void lines.push(said.map(String).join(' '))
  Logger.overrideLogger({
    log: collect,
    error: collect,
    warn: collect,
    debug: collect,
    verbose: collect,
    fatal: collect,
  })
  const secret = 'canary-auth-token'
  const { session } = await created(secret)
  const headers = bearer({ session })
  await send('/session/create', { body: `{"auth_token":"${secret}"` })
  await send(`/session/validate?token=${session}`, { headers })
  await send('/session/revoke', { headers, body: { target_session: [session] } })
  await send(`/${session}`, { headers: { ...headers, host: 'attacker.example' } })
  await sessions.close()
  await send('/session/validate', { headers })
  await send('/session/create', { body: { auth_token: secret } })

  const log = lines.join('\n')
  expect(log).toContain('session store failed (closed)')
  for (const text of [secret, session]) expect(log).not.toContain(text)
})
