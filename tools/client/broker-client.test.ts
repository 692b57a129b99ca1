import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, expect, test } from '@jest/globals'

import { VKEY } from '../../test/support/ledger-builder.js'

import { BrokerClient, type BrokerClientOptions } from './broker-client.js'
import type { ClientError } from './errors.js'

const SESSION = 'a'.repeat(64)

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

type Answer = (reply: ServerResponse, request: IncomingMessage) => void

/** A server that gives the answers in turn, the last one again and again; and how often it was asked. */
async function serving(...answers: Answer[]): Promise<{ url: string; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = []
  server = createServer((request, reply) => {
    asked.push(request)
    answers[Math.min(asked.length, answers.length) - 1]?.(reply, request)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (reply) => {
    reply.writeHead(status, { 'content-type': 'application/json', ...headers })
    reply.end(JSON.stringify(body))
  }

const mintFrom = (url: string, options: Partial<BrokerClientOptions> = {}) =>
  new BrokerClient({ url, session: SESSION, timeoutMs: 5_000, ...options }).mintJwt()

async function failure(work: Promise<unknown>): Promise<ClientError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as ClientError,
  )
}

const REPLY = {
  jwt: 'a.b.c',
  jti: '0196f1de-0000-7000-8000-000000000000',
  wallet: `0x${'1'.repeat(40)}`,
  expiration: 1_800_000_000,
  ledger: { origin: 'broker.example.com/ledger', index: 3, leaf_hash: 'f'.repeat(64), receipt: 'none' },
}

test.each([
  ['bad_request', 400],
  ['unauthorized', 401],
  ['forbidden', 403],
  ['too_many_requests', 429],
  ['sts_error', 502],
  ['aws_not_configured', 503],
  ['audit_error', 500],
  ['internal', 500],
])('%s of the broker is the code of the error, and is not repeated', async (kind, status) => {
  const { url, asked } = await serving(json(status, { error: kind, message: 'no', reason: 'a-reason' }))
  const error = await failure(mintFrom(url))
  expect([error.code, error.status, error.reason, asked.length]).toEqual([kind, status, 'a-reason', 1])
  expect(error.remedy).not.toBe('')
})

test('the request id and Retry-After of a refusal are in the error', async () => {
  const headers = { 'x-request-id': 'abc', 'retry-after': '7' }
  const { url } = await serving(json(429, { error: 'too_many_requests', message: 'slow down' }, headers))
  const error = await failure(mintFrom(url))
  expect([error.requestId, error.retryAfterSeconds]).toEqual(['abc', 7])
})

test.each(['ledger_unavailable', 'backend_unreachable'])(
  '%s handed nothing out, so the mint is repeated',
  async (kind) => {
    const refusal = json(503, { error: kind, message: 'later' })
    const { url, asked } = await serving(refusal, refusal, json(200, REPLY))
    expect((await mintFrom(url)).jti).toBe(REPLY.jti)
    expect(asked.length).toBe(3)
  },
)

test('it is repeated three times in all, and then fails with what the broker said', async () => {
  const { url, asked } = await serving(json(503, { error: 'ledger_unavailable', message: 'later' }))
  expect((await failure(mintFrom(url))).code).toBe('ledger_unavailable')
  expect(asked.length).toBe(3)
})

const keysOf = (asked: IncomingMessage[]) => new Set(asked.map(({ headers }) => headers['idempotency-key']))

test('a request that was sent and got no reply is repeated under its key: the broker mints it once', async () => {
  const { url, asked } = await serving((reply) => reply.socket?.destroy(), json(200, REPLY))
  expect((await mintFrom(url)).jti).toBe(REPLY.jti)
  expect([asked.length, keysOf(asked).size]).toEqual([2, 1])
})

test('a mint that the broker says handed nothing out is repeated under another key', async () => {
  const { url, asked } = await serving(
    json(503, { error: 'ledger_unavailable', message: 'later' }),
    json(200, REPLY),
  )
  await mintFrom(url)
  expect([asked.length, keysOf(asked).size]).toEqual([2, 2])
})

test('two mints have two keys', async () => {
  const { url, asked } = await serving(json(200, REPLY))
  await mintFrom(url)
  await mintFrom(url)
  expect(keysOf(asked).size).toBe(2)
})

test.each<[string, Answer, string]>([
  ['an HTML page', (reply) => reply.end('<html>'), 'malformed_reply'],
  ['an error page of a proxy', (reply) => reply.writeHead(502).end('Bad Gateway'), 'malformed_reply'],
  ['an error kind that is not known', json(418, { error: 'teapot', message: 'short' }), 'malformed_reply'],
  ['a list', json(200, []), 'malformed_reply'],
  ['a reply without a jwt', json(200, { ...REPLY, jwt: undefined }), 'malformed_reply'],
  ['a reply with an empty jwt', json(200, { ...REPLY, jwt: '' }), 'malformed_reply'],
  ['a fractional expiration', json(200, { ...REPLY, expiration: 1.5 }), 'malformed_reply'],
  ['a reply without a ledger', json(200, { ...REPLY, ledger: undefined }), 'malformed_reply'],
  [
    'a redirect',
    (reply) => reply.writeHead(307, { location: 'https://example.com/' }).end(),
    'malformed_reply',
  ],
  ['over a megabyte', (reply) => reply.end(' '.repeat(1_100_000)), 'malformed_reply'],
  ['the head of a reply and no more', (reply) => reply.writeHead(200).write('{'), 'timeout'],
  ['half a reply', (reply) => (reply.writeHead(200).write('{'), reply.socket?.end()), 'unreachable'],
])('%s is refused', async (_, answer, code) => {
  const { url } = await serving(answer)
  expect((await failure(mintFrom(url, { timeoutMs: code === 'timeout' ? 300 : 20_000 }))).code).toBe(code)
})

test('what is dripped in for ever ends at the deadline for the whole reply', async () => {
  const { url } = await serving((reply) => {
    const timer = setInterval(() => reply.write(' '), 20)
    reply.on('close', () => clearInterval(timer))
  })
  expect((await failure(mintFrom(url, { timeoutMs: 300 }))).code).toBe('timeout')
})

test('a broker that does not listen is unreachable', async () => {
  const { url } = await serving(json(200, REPLY))
  await new Promise((resolve) => server?.close(resolve))
  expect((await failure(mintFrom(url, { attempts: 1 }))).code).toBe('unreachable')
})

test('the session goes into the Authorization header, and into no URL and no error', async () => {
  const { url, asked } = await serving(json(401, { error: 'unauthorized', message: 'session expired' }))
  const error = await failure(mintFrom(url))
  expect(asked[0]?.headers.authorization).toBe(`Bearer ${SESSION}`)
  expect(asked[0]?.url).toBe('/v1/mint-oidc-jwt')
  expect(JSON.stringify([error, error.message, error.stack])).not.toContain(SESSION)
})

test('a broker behind a path prefix is asked below it', async () => {
  const { url, asked } = await serving(json(200, REPLY))
  await mintFrom(`${url}/broker`)
  expect(asked[0]?.url).toBe('/broker/v1/mint-oidc-jwt')
})

test.each([
  ['not a URL', 'invalid_url'],
  ['ftp://broker.example.com', 'invalid_url'],
  ['http://broker.example.com', 'invalid_url'],
  ['http://127.0.0.1.example.com', 'invalid_url'],
  ['http://user:secret@127.0.0.1', 'invalid_url'],
  ['https://broker.example.com/?a=b', 'invalid_url'],
  ['https://broker.example.com/#a', 'invalid_url'],
])('the URL %s is refused', (url, code) => {
  expect(() => new BrokerClient({ url, session: SESSION })).toThrow(expect.objectContaining({ code }))
})

test.each(['https://broker.example.com', 'http://127.0.0.1:8091', 'http://localhost:1', 'http://[::1]:2/'])(
  'the URL %s is accepted',
  (url) => {
    expect(() => new BrokerClient({ url, session: SESSION })).not.toThrow()
  },
)

test('a receipt that is required and proves nothing is an error, with the mint not returned', async () => {
  const { url } = await serving(json(200, REPLY))
  const error = await failure(mintFrom(url, { ledgerVkey: VKEY }))
  expect(error.code).toBe('receipt_invalid')
  expect(JSON.stringify([error, error.message])).not.toContain(REPLY.jwt)
})

test('with receipts "warn" it is returned, and the problem is reported', async () => {
  const { url } = await serving(json(200, REPLY))
  const problems: string[] = []
  const onReceiptProblem = ({ code }: ClientError) => problems.push(code)
  const minted = await mintFrom(url, { ledgerVkey: VKEY, receipts: 'warn', onReceiptProblem })
  expect([minted.jwt, problems]).toEqual([REPLY.jwt, ['receipt_invalid']])
})

test('receipts cannot be required without a key, nor be checked with what is not one', () => {
  const url = 'https://broker.example.com'
  const code = 'ledger_key_changed'
  expect(() => new BrokerClient({ url, session: SESSION, receipts: 'require' })).toThrow(
    expect.objectContaining({ code }),
  )
  expect(() => new BrokerClient({ url, session: SESSION, ledgerVkey: 'nonsense' })).toThrow(
    expect.objectContaining({ code }),
  )
})
