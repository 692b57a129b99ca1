// What one anonymous party can do by sending much and reading nothing: the broker runs as it ships, with its heap limit.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { BrokerProcess } from '../support/broker-process.js'
import { expectVerified } from '../support/audited-ledger.js'
import { neverReading, type UnreadConnection } from '../support/unread-connection.js'
import { rawRequest, sendRaw } from '../support/raw-http.js'
import { type SessionBackendServer, startSessionBackendServer } from '../support/session-backend-server.js'
import { until } from '../support/until.js'

const PATH = '/v1/mint-oidc-jwt'
const GOOD = 'a-good-bearer'

let backend: SessionBackendServer
let broker: BrokerProcess
const open: UnreadConnection[] = []

beforeAll(async () => {
  backend = await startSessionBackendServer()
  backend.answers.set(GOOD, { kind: 'session', wallet: `0x${'ab'.repeat(20)}` })
  backend.answers.set('silent', { kind: 'silent' })
  broker = await BrokerProcess.start({
    env: { BROKER_BACKEND_URL: backend.url, BROKER_BACKEND_TIMEOUT_SECONDS: '4' },
  })
})

afterEach(() => {
  for (const connection of open.splice(0)) connection.close()
})

afterAll(async () => {
  await expectVerified(broker.dataDir)
  await broker.dispose()
  await backend.close()
})

const request = (line: string, ...headers: string[]) =>
  [`${line} HTTP/1.1`, 'Host: broker.test', ...headers, '', ''].join('\r\n')
const minting = (bearer: string) =>
  request(`POST ${PATH}`, `Authorization: Bearer ${bearer}`, 'Content-Length: 0')

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${broker.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

/** All of it is still there: it mints, and nothing is left under way but the question itself. */
async function expectUnharmed(): Promise<void> {
  for (const connection of open.splice(0)) connection.close()
  await until(async () => (await metric('agentkeys_requests_under_way')) === 1)
  expect((await broker.post(PATH, GOOD)).status).toBe(200)
}

test.each([
  ['bad bearers', minting('bad'), 1],
  ['bearers that the session backend never answers', minting('silent'), 1],
  ['questions for the metrics', request('GET /metrics'), 8],
  ['paths that do not exist, on many connections', request('GET /nope'), 64],
  ['bad bearers, on many connections', minting('bad'), 64],
  ['more replies than are kept, on very many connections', minting('bad'), 192],
])('%s, pipelined and never read, take nothing from others', async (_name, bytes, connections) => {
  for (let n = 0; n < connections; n += 1) open.push(neverReading(broker.url, bytes, 200_000))
  // Until each has been cut off, or is read from no further.
  let before = -1
  await until(async () => {
    const sent = open.reduce((sum, connection) => sum + (connection.ended() ? 0 : connection.sent()), 0)
    const still = sent === before
    before = sent
    expect((await fetch(`${broker.url}/.well-known/jwks.json`)).status).toBe(200)
    return still
  })
  await expectUnharmed()
})

test('15,000 requests at once: beyond what fits, 503 with Retry-After; keys and probes are answered all the while', async () => {
  const silent = Array.from({ length: 1000 }, () => {
    const connection = neverReading(broker.url, minting('silent'), 15)
    open.push(connection)
    return connection
  })
  await until(async () => (await metric('agentkeys_requests_under_way')) > 750)
  // A place that is free at this moment is taken again before long: then the request itself is refused.
  const ask = () => sendRaw(broker.url, rawRequest(`POST ${PATH}`, [`Authorization: Bearer ${GOOD}`]))
  let reply = await ask()
  await until(async () => {
    reply = await ask()
    return reply.body.includes('"too-many-under-way"')
  })
  const { status, head, body } = reply
  expect(status).toBe(503)
  expect(head).toMatch(/^Retry-After: 1\r?$/im)
  expect(JSON.parse(body)).toEqual({
    error: 'overloaded',
    message: expect.stringMatching(/^overloaded: /),
    reason: 'too-many-under-way',
  })
  for (const path of [
    '/.well-known/jwks.json',
    '/.well-known/openid-configuration',
    '/healthz',
    '/metrics',
  ]) {
    expect([path, (await fetch(broker.url + path)).status]).toEqual([path, 200])
  }
  expect(silent.length).toBe(1000)
  await expectUnharmed()
})

test('callers who go away do not make room for more while what they asked for is under way', async () => {
  for (let n = 0; n < 200; n += 1) {
    const connection = neverReading(broker.url, minting('silent'), 10)
    open.push(connection)
  }
  await until(async () => (await metric('agentkeys_requests_under_way')) > 500)
  for (const connection of open) connection.close()
  expect(await metric('agentkeys_requests_under_way')).toBeGreaterThan(500)
  await expectUnharmed()
})
