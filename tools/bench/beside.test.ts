import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

import { afterAll, beforeAll, expect, test } from '@jest/globals'

import { besideOrder, besideRequest, besideText, inTurns } from './beside.js'
import { Child } from './child.js'
import type { LoadOrder, LoadResult } from './load.js'

const received: { request: IncomingMessage; body: string }[] = []
const server = createServer((request, response) => {
  void text(request).then((body) => {
    received.push({ request, body })
    if (request.url === '/refused') response.writeHead(403).end('no')
    else if (request.url === '/chunked') response.write('{}', () => response.end())
    else response.end('{"token":"t"}')
  })
})
const load = Child.start<LoadOrder, LoadResult>('./load.js')
let origin = ''

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  await load.end()
  server.closeAllConnections()
  server.close()
})

const times = { rounds: 2, seconds: 0.05, warmUpSeconds: 0.02 }
const bench = { load, progress: () => undefined }

test('two servers get the same load in turns, each its own requests, and the ratio is of the turns', async () => {
  const posted = besideRequest(`${origin}/v1/token?a=b`, ['X-Vault-Token: secret'], '{"role":"bench"}')
  const got = besideRequest(`${origin}/chunked`, [])
  const orders = { ours: besideOrder(got, 2), theirs: besideOrder(posted, 2) }
  const figures = await inTurns(bench, orders, times)
  expect(figures.ours.perSecond).toBeGreaterThan(0)
  expect(figures.theirs.perSecond).toBeGreaterThan(0)
  expect(figures.ratio).toBeGreaterThan(0)
  const kinds = new Set(received.map(({ request: { method, url }, body }) => `${method} ${url} ${body}`))
  expect([...kinds].sort()).toEqual(['GET /chunked ', 'POST /v1/token?a=b {"role":"bench"}'])
  const post = received.find(({ request }) => request.method === 'POST')?.request
  expect(post?.headers).toMatchObject({ 'x-vault-token': 'secret', 'content-type': 'application/json' })
  expect(post?.headers.authorization).toBeUndefined()
})

test('a reply that is no success ends the run: its rate would say nothing', async () => {
  const order = besideOrder(besideRequest(`${origin}/refused`, []), 1)
  await expect(inTurns(bench, { ours: order, theirs: order }, times)).rejects.toThrow(
    'a reply was HTTP/1.1 403',
  )
})

test.each([
  ['--beside', 'https://127.0.0.1/', [], undefined],
  ['--beside', 'nonsense', [], undefined],
  ['--header', 'http://127.0.0.1/', ['X-Vault-Token'], undefined],
  ['--header', 'http://127.0.0.1/', ['A: b\r\nC: d'], undefined],
  ['--body', 'http://127.0.0.1/', [], '{'],
])('%s is refused when it cannot be meant: %s %j %s', (option, url, headers, body) => {
  expect(() => besideRequest(url, headers, body)).toThrow(option)
})

test('the text has both rates and the ratio, and none of the headers', () => {
  const side = { perSecond: 2_650, p50Ms: 20, p99Ms: 158 }
  const figures = { ours: { ...side, perSecond: 5_200 }, theirs: side, ratio: 1.96, connections: 64 }
  expect(besideText(figures, new URL('http://127.0.0.1:8200/v1/identity'))).toMatch(
    /5200\/s[^]*127\.0\.0\.1:8200 +2650\/s[^]*1\.96/,
  )
})
