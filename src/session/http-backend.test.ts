import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import { afterEach, describe, expect, test } from '@jest/globals'

import { sessionBackendContract } from '../../test/contract/session-backend.contract.js'
import {
  type Answer,
  type SessionBackendServer,
  startSessionBackendServer,
} from '../../test/support/session-backend-server.js'
import { type Wallet } from '../domain/wallet.js'
import { HttpSessionBackend } from './http-backend.js'
import { type SessionError } from './session-backend.js'

const WALLET = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'
const MIXED = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
const BEARER = 'c0ffee'.repeat(10)
const LONG_MS = 20_000
const SHORT_MS = 150

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function server(prefix = ''): Promise<SessionBackendServer> {
  const started = await startSessionBackendServer(prefix)
  open.push(started)
  return started
}

function backend(url: string, timeoutMs = LONG_MS): HttpSessionBackend {
  const made = new HttpSessionBackend({ url, timeoutMs })
  open.push(made)
  return made
}

async function answering(answer: Answer, timeoutMs = LONG_MS) {
  const remote = await server()
  remote.answers.set(BEARER, answer)
  return { remote, backend: backend(remote.url, timeoutMs) }
}

const reply = (body: object): Answer => ({ kind: 'reply', status: 200, body: JSON.stringify(body) })
const unreachable = (message: string) => ({ name: 'SessionError', code: 'backend-unreachable', message })
const unauthorized = (message: string) => ({ name: 'SessionError', code: 'unauthorized', message })

sessionBackendContract('the HTTP backend', async () => {
  const remote = await startSessionBackendServer()
  remote.answers.set(BEARER, { kind: 'session', wallet: WALLET })
  const backend = new HttpSessionBackend({ url: remote.url, timeoutMs: LONG_MS })
  let serving = true
  const breakDown = async () => {
    if (serving) await remote.close()
    serving = false
  }
  return {
    backend,
    bearer: BEARER,
    wallet: WALLET as Wallet,
    name: remote.url,
    revoke: () => void remote.answers.delete(BEARER),
    breakDown,
    dispose: async () => {
      await backend.close()
      await breakDown()
    },
  }
})

describe('a 2xx answer', () => {
  test('with a wallet is a session of that backend', async () => {
    const { remote, backend } = await answering({ kind: 'session', wallet: WALLET })
    expect(await backend.validate(BEARER)).toEqual({ wallet: WALLET, backend: remote.url })
    expect(remote.calls).toEqual(['GET /session/validate'])
  })

  test('with a wallet in mixed case is the lower-case wallet', async () => {
    const { backend } = await answering({ kind: 'session', wallet: MIXED })
    expect(await backend.validate(BEARER)).toMatchObject({ wallet: WALLET })
  })

  test('of another 2xx status with a wallet is a session too', async () => {
    const { backend } = await answering({
      kind: 'reply',
      status: 203,
      body: JSON.stringify({ wallet: WALLET }),
    })
    expect(await backend.validate(BEARER)).toMatchObject({ wallet: WALLET })
  })

  test.each<[object, object | undefined]>([
    [{ scope: { services: ['aws'], read_only: true } }, { services: ['aws'], readOnly: true, parents: [] }],
    [
      {
        scope: { services: [], read_only: false },
        parents: [{ wallet: MIXED, session_sha256: 'ab'.repeat(32) }],
      },
      { services: [], readOnly: false, parents: [{ wallet: WALLET, tokenSha256: 'ab'.repeat(32) }] },
    ],
    [{ scope: null, parents: null }, undefined],
  ])('with %j is a session with the child %j', async (members, child) => {
    const { backend } = await answering(reply({ wallet: WALLET, ...members }))
    expect((await backend.validate(BEARER)).child).toEqual(child)
  })

  test.each([
    [{ scope: { services: ['aws'] } }],
    [{ scope: { services: ['aws'], read_only: 'no' } }],
    [{ scope: { services: 'aws', read_only: true } }],
    [{ scope: { services: ['a b'], read_only: true } }],
    [{ scope: { services: Array<string>(65).fill('aws'), read_only: true } }],
    [{ scope: ['aws'] }],
    [{ scope: { services: ['aws'], read_only: true, max_amount: 5 } }],
    [{ parents: [] }],
    [{ scope: { services: [], read_only: true }, parents: [{ wallet: WALLET }] }],
    [{ scope: { services: [], read_only: true }, parents: Array<unknown>(9).fill({}) }],
  ])('with %j, which no decision could obey, is no session', async (members) => {
    const { backend } = await answering(reply({ wallet: WALLET, ...members }))
    await expect(backend.validate(BEARER)).rejects.toMatchObject({ code: 'backend-unreachable' })
  })

  test('may name the agent', async () => {
    const { remote, backend } = await answering({
      kind: 'session',
      wallet: WALLET,
      agent: 'mail-agent@v2:eu.1',
    })
    expect(await backend.validate(BEARER)).toEqual({
      wallet: WALLET,
      agent: 'mail-agent@v2:eu.1',
      backend: remote.url,
    })
  })

  test.each([
    ['two\nlines'],
    ['"quoted"'],
    ['a/*'],
    ['${aws:x}'],
    ['ａ'],
    [''],
    ['x'.repeat(129)],
    [7],
    [null],
    [{}],
  ])('with the unusable agent %j is a session without one', async (agent) => {
    const { remote, backend } = await answering({ kind: 'session', wallet: WALLET, agent })
    expect(await backend.validate(BEARER)).toEqual({ wallet: WALLET, backend: remote.url })
  })

  test.each([
    ['0xabc'],
    [`${WALLET} `],
    [`${WALLET}\n`],
    [WALLET.replace('0x', '0X')],
    [WALLET.replace('5', '５')],
    ['0x*'],
    [''],
  ])('with %j for a wallet is no session, and the text is not repeated', async (wallet) => {
    const { backend } = await answering({ kind: 'session', wallet })
    await expect(backend.validate(BEARER)).rejects.toMatchObject(
      unreachable('backend answered with a wallet that is not 0x and 40 hex digits'),
    )
  })

  test.each([
    ['without one', '{}'],
    ['with a number', '{"wallet":1}'],
    ['with null', '{"wallet":null}'],
    ['with a list', `{"wallet":["${WALLET}"]}`],
    ['with one inherited from __proto__', `{"__proto__":{"wallet":"${WALLET}"}}`],
  ])('%s for a wallet is no session', async (_what, body) => {
    const { backend } = await answering({ kind: 'reply', status: 200, body })
    await expect(backend.validate(BEARER)).rejects.toMatchObject(
      unreachable('backend answered without a wallet'),
    )
  })

  test.each([['not json'], [''], [`["${WALLET}"]`], [`"${WALLET}"`], ['null'], [`{"wallet":"${WALLET}"`]])(
    'with the body %j is no session',
    async (body) => {
      const { backend } = await answering({ kind: 'reply', status: 200, body })
      await expect(backend.validate(BEARER)).rejects.toMatchObject(
        unreachable('backend answered without a JSON object'),
      )
    },
  )
})

describe('a 401', () => {
  const refusing = (body: string) => answering({ kind: 'reply', status: 401, body })

  test('passes on the reason the backend gives', async () => {
    const { backend } = await refusing('{"error":"UNAUTHORIZED","message":"session expired"}')
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unauthorized('session expired'))
  })

  test.each([
    [''],
    ['not json'],
    ['{}'],
    ['{"message":7}'],
    ['{"message":""}'],
    ['{"message":"\\u0007\\n"}'],
    ['[]'],
  ])('with the body %j gets the default reason', async (body) => {
    const { backend } = await refusing(body)
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unauthorized('session not valid'))
  })

  test('has its reason cleaned of everything that could forge a line or hide text', async () => {
    const { backend } = await refusing(
      JSON.stringify({ message: 'a\r\nb\u001b[31mc\u2028d\u202ee\u0000f\ud800' }),
    )
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unauthorized('ab[31mcdef'))
  })

  test('has its reason cut at 200 characters, never in the middle of one', async () => {
    const { backend } = await refusing(JSON.stringify({ message: '😀'.repeat(300) }))
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unauthorized('😀'.repeat(200)))
  })

  test.each([
    ['as it is', `no session for ${BEARER}`],
    ['in upper case', `no session for ${BEARER.toUpperCase()}`],
    ['with control characters in between', `no session for ${BEARER.replace('ee', 'e\u0000e')}`],
    ['beyond the cut', `${'x'.repeat(190)}${BEARER}`],
  ])('that repeats the bearer %s gets the default reason', async (_how, message) => {
    const { backend } = await refusing(JSON.stringify({ message }))
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unauthorized('session not valid'))
  })
})

describe('any other status', () => {
  test.each([
    [301],
    [302],
    [307],
    [308],
    [304],
    [400],
    [403],
    [404],
    [407],
    [409],
    [429],
    [500],
    [502],
    [503],
  ])('%i means that no one could tell', async (status) => {
    const { backend } = await answering({ kind: 'reply', status, body: JSON.stringify({ wallet: WALLET }) })
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unreachable(`backend returned ${status}`))
  })

  test('a redirect is not followed: the bearer goes nowhere else', async () => {
    const elsewhere = await server()
    elsewhere.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    const location = `${elsewhere.url}/session/validate`
    const { backend } = await answering({ kind: 'reply', status: 307, headers: { location } })
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unreachable('backend returned 307'))
    expect(elsewhere.calls).toEqual([])
  })
})

describe('a network that fails', () => {
  test('an answer that takes its time within the timeout is an answer', async () => {
    const { backend } = await answering({ kind: 'slow', afterMs: 50, wallet: WALLET })
    expect(await backend.validate(BEARER)).toMatchObject({ wallet: WALLET })
  })

  test.each<[string, Answer]>([
    ['that never answers', { kind: 'silent' }],
    ['whose body comes byte by byte without end', { kind: 'trickle' }],
  ])('a backend %s is given up at the timeout', async (_what, answer) => {
    const { backend } = await answering(answer, SHORT_MS)
    await expect(backend.validate(BEARER)).rejects.toMatchObject(
      unreachable(`no answer within ${SHORT_MS} ms`),
    )
  })

  test('a backend that accepts and never finishes the handshake is given up before the connect timeout', async () => {
    const deaf = createServer()
    const held: Socket[] = []
    deaf.on('connection', (socket) => held.push(socket.on('error', () => socket.destroy())))
    deaf.listen(0, '127.0.0.1')
    await once(deaf, 'listening')
    const made = backend(`https://127.0.0.1:${(deaf.address() as AddressInfo).port}`, SHORT_MS)
    // Timers of one process go off in their order, however late: this one is a little earlier than the connect timeout.
    const late = pause(4_900, 'late', { ref: false })
    await expect(Promise.race([made.validate(BEARER), late])).rejects.toMatchObject(
      unreachable(`no answer within ${SHORT_MS} ms`),
    )
    for (const socket of held) socket.destroy()
    deaf.close()
  })

  test('a body past 64 KiB is not read on', async () => {
    const { backend } = await answering({ kind: 'flood' })
    await expect(backend.validate(BEARER)).rejects.toMatchObject(
      unreachable('request failed (REPLY_TOO_LARGE)'),
    )
  })

  test('a body of 64 KiB is still an answer', async () => {
    const body = JSON.stringify({ wallet: WALLET, pad: '' })
    const full = JSON.stringify({ wallet: WALLET, pad: 'x'.repeat(64 * 1024 - body.length) })
    const { backend } = await answering({ kind: 'reply', status: 200, body: full })
    expect(await backend.validate(BEARER)).toMatchObject({ wallet: WALLET })
  })

  test('a reset in the middle of a body is not repaired by asking again', async () => {
    const { remote, backend } = await answering({ kind: 'reset', when: 'within-the-body' })
    await expect(backend.validate(BEARER)).rejects.toMatchObject({ code: 'backend-unreachable' })
    expect(remote.calls).toHaveLength(1)
  })

  test('a reset before any answer is tried once more, and no more than that', async () => {
    const { remote, backend } = await answering({ kind: 'reset', when: 'before-the-answer' })
    await expect(backend.validate(BEARER)).rejects.toMatchObject({ code: 'backend-unreachable' })
    expect(remote.calls).toHaveLength(2)
  })

  test('a backend that is not there is unreachable, and its address is not shown', async () => {
    const { remote, backend } = await answering({ kind: 'silent' })
    await remote.close()
    open.splice(open.indexOf(remote), 1)
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unreachable('request failed (ECONNREFUSED)'))
  })
})

describe('connections', () => {
  test('are kept: one validation after another uses the same one or two', async () => {
    const { remote, backend } = await answering({ kind: 'session', wallet: WALLET })
    for (let i = 0; i < 20; i += 1) await backend.validate(BEARER)
    expect(remote.calls).toHaveLength(20)
    expect(remote.connections()).toBeLessThanOrEqual(2)
  })

  test('survive answers that are no session', async () => {
    const { remote, backend } = await answering({ kind: 'reply', status: 503, body: 'try later' })
    for (let i = 0; i < 20; i += 1)
      await expect(backend.validate(BEARER)).rejects.toMatchObject({ name: 'SessionError' })
    expect(remote.calls).toHaveLength(20)
    expect(remote.connections()).toBeLessThanOrEqual(2)
  })

  test('that went stale while idle cost the caller nothing', async () => {
    const { remote, backend } = await answering({ kind: 'stale', wallet: WALLET })
    for (let i = 0; i < 5; i += 1) expect(await backend.validate(BEARER)).toMatchObject({ wallet: WALLET })
    expect(remote.calls.length).toBeGreaterThan(5)
  })
})

test('a wait for our own 256 connections to end is not the fault of the backend', async () => {
  const { backend } = await answering({ kind: 'silent' }, 1_000)
  const asked = Array.from({ length: 257 }, () => backend.validate(BEARER).catch((error: unknown) => error))
  const codes = (await Promise.all(asked)).map((error) => (error as SessionError).code)
  expect(new Set(codes.slice(0, 256))).toEqual(new Set(['backend-unreachable']))
  expect(codes[256]).toBe('overloaded')
})

describe('bearers', () => {
  test.each([
    ['nothing', ''],
    ['4,097 characters', 'a'.repeat(4097)],
    ['a space', 'a b'],
    ['a tab', 'a\tb'],
    ['a line break and a header', 'a\r\nX-Admin: 1'],
    ['DEL', 'a\x7f'],
    ['a letter beyond ASCII', 'é'],
    ['full-width letters', 'ａ'],
  ])('of %s are refused before any call', async (_what, bearer) => {
    const { remote, backend } = await answering({ kind: 'session', wallet: WALLET })
    await expect(backend.validate(bearer)).rejects.toMatchObject(unauthorized('session not valid'))
    expect(remote.calls).toEqual([])
  })

  test('of 4,096 visible characters reach the backend as they are', async () => {
    const all = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('')
    const bearer = all.repeat(44).slice(0, 4096)
    const remote = await server()
    remote.answers.set(bearer, { kind: 'session', wallet: WALLET })
    expect(await backend(remote.url).validate(bearer)).toMatchObject({ wallet: WALLET })
  })

  test('are asked about every time: a revocation is seen by the next call', async () => {
    const { remote, backend } = await answering({ kind: 'session', wallet: WALLET })
    await backend.validate(BEARER)
    remote.answers.delete(BEARER)
    await expect(backend.validate(BEARER)).rejects.toMatchObject(unauthorized('session not found'))
    remote.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    expect(await backend.validate(BEARER)).toMatchObject({ wallet: WALLET })
  })
})

describe('the URL', () => {
  test.each([[''], ['/'], ['//']])('may end in %j', async (end) => {
    const remote = await server()
    remote.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    expect(await backend(remote.url + end).validate(BEARER)).toEqual({ wallet: WALLET, backend: remote.url })
    expect(remote.calls).toEqual(['GET /session/validate'])
  })

  test('may have a path, which is not in the ledger', async () => {
    const remote = await server('/api/v1')
    remote.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    const { backend: name } = await backend(`${remote.url}/`).validate(BEARER)
    expect(remote.calls).toEqual(['GET /api/v1/session/validate'])
    expect(name).toBe(remote.url.replace('/api/v1', ''))
  })

  test('may hold a password, which is shown nowhere', async () => {
    const remote = await server()
    remote.answers.set(BEARER, { kind: 'session', wallet: WALLET })
    const made = backend(remote.url.replace('http://', 'http://operator:hunter2@'))
    expect(await made.validate(BEARER)).toEqual({ wallet: WALLET, backend: remote.url })
  })

  test.each([
    ['ftp://127.0.0.1'],
    ['file:///etc/passwd'],
    ['http://127.0.0.1/?a=1'],
    ['http://127.0.0.1/#a'],
  ])('%s is refused when the backend is made', (url) => {
    expect(() => new HttpSessionBackend({ url, timeoutMs: LONG_MS })).toThrow(
      'the session backend URL must be http or https, without query or fragment',
    )
  })
})

describe('health', () => {
  test.each([[200], [204]])('a %i from /healthz is healthy', async (status) => {
    const remote = await server('/api')
    remote.health.status = status
    expect(await backend(remote.url).healthy()).toBe(true)
    expect(remote.calls).toEqual(['GET /api/healthz'])
  })

  test.each([[301], [401], [404], [503]])('a %i is not', async (status) => {
    const remote = await server()
    remote.health.status = status
    expect(await backend(remote.url).healthy()).toBe(false)
  })

  test('silence is not, after the timeout', async () => {
    const remote = await server()
    remote.health.status = 'silent'
    expect(await backend(remote.url, SHORT_MS).healthy()).toBe(false)
  })

  test('nor is a backend that was closed', async () => {
    const remote = await server()
    const made = backend(remote.url)
    expect(await made.healthy()).toBe(true)
    await made.close()
    expect(await made.healthy()).toBe(false)
    await expect(made.validate(BEARER)).rejects.toMatchObject({ code: 'backend-unreachable' })
  })
})
