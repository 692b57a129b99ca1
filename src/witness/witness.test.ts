import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

import { afterEach, describe, expect, test } from '@jest/globals'

import { tlog } from '../../test/support/tlog-vectors.js'
import { WitnessedLog } from '../../test/support/witnessed-log.js'
import type { Answer, WitnessServer } from '../../test/support/witness-server.js'
import { formatSignedCheckpoint } from '../domain/ledger/checkpoint.js'
import { formatVkey } from '../domain/ledger/note.js'
import { parseWitnessRequest } from '../domain/ledger/witness-request.js'
import { DEFAULT_WITNESS_LIMITS, Witness, type WitnessLimits } from './witness.js'

/** Long where a test waits for an answer, as no test may depend on one being late. */
const LIMITS: WitnessLimits = { ...DEFAULT_WITNESS_LIMITS, requestMs: 20_000, gapMs: 0, idleMs: 0 }
const SHORT_MS = 150
const SIZE = { 'content-type': 'text/x.tlog.size' }

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

interface Scene {
  log: WitnessedLog
  server: WitnessServer
  witness: Witness
}

async function scene(limits: Partial<WitnessLimits> = {}, random?: () => number): Promise<Scene> {
  const log = new WitnessedLog()
  open.push(log)
  const server = await log.startWitness()
  return { log, server, witness: witnessAt(server.url, server, log, limits, random) }
}

function witnessAt(
  url: string,
  { key }: { key: WitnessServer['key'] },
  log: WitnessedLog,
  limits: Partial<WitnessLimits> = {},
  random?: () => number,
): Witness {
  const witness = new Witness({ name: 'w1', key, url }, log, { ...LIMITS, ...limits }, random)
  open.push(witness)
  return witness
}

const oldSizes = ({ requests }: WitnessServer) => requests.map((body) => parseWitnessRequest(body).oldSize)
const sizes = ({ requests }: WitnessServer) =>
  requests.map((body) => parseWitnessRequest(body).checkpoint.size)
const reply = (status: number, body = '', headers: Record<string, string> = {}): Answer => ({
  kind: 'reply',
  status,
  body,
  headers,
})

describe('an honest witness', () => {
  test('is sent the bytes of the published requests, from its last size on', async () => {
    const { log, server, witness } = await scene()
    expect(await witness.submit(log.checkpoint(3))).toMatchObject({ kind: 'cosigned', time: server.time })
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'cosigned', time: server.time })
    expect(server.requests).toEqual(tlog.addCheckpoint.requests.map(({ body }) => body))
    expect(witness.status()).toEqual({
      name: 'w1',
      cosignedSize: 7,
      cosignedAt: new Date(server.time * 1000),
      problem: undefined,
    })
  })

  test('cosigns every size from every size', async () => {
    const { log, server, witness } = await scene()
    for (let size = 1, step = 1; size < 150; size += step++) {
      expect(await witness.submit(log.checkpoint(size))).toMatchObject({ kind: 'cosigned' })
      expect(server.latest).toEqual(log.head(size))
    }
  })

  test('is asked again for the same size without a proof, and gives a new time', async () => {
    const { log, server, witness } = await scene()
    await witness.submit(log.checkpoint(7))
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'cosigned', time: server.time })
    expect(oldSizes(server)).toEqual([0, 7])
    expect(log.proofs).toEqual([])
  })

  test('that is further than this process knows is asked again from there', async () => {
    const { log, server, witness } = await scene()
    server.latest = log.head(5)
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'cosigned' })
    expect(oldSizes(server)).toEqual([0, 5])
    expect(log.proofs).toEqual([[5, 7]])
  })

  test('that lost its state is led up again', async () => {
    const { log, server, witness } = await scene()
    await witness.submit(log.checkpoint(7))
    server.latest = log.head(2)
    expect(await witness.submit(log.checkpoint(9))).toMatchObject({ kind: 'cosigned' })
    expect(oldSizes(server)).toEqual([0, 7, 2])
  })

  test('that was shown more by another broker is shown the newest there is', async () => {
    const { log, server, witness } = await scene()
    const offered = log.checkpoint(7)
    log.size = 12
    server.latest = log.head(10)
    expect(await witness.submit(offered)).toMatchObject({ kind: 'cosigned', checkpoint: { size: 12 } })
    expect(sizes(server)).toEqual([7, 12])
    expect(witness.status().cosignedSize).toBe(12)
  })
})

describe('a contradiction', () => {
  test('is a larger checkpoint under the own signature, which a witness shows', async () => {
    const { log, server, witness } = await scene()
    server.latest = log.head(8)
    server.shown = log.signed(8)
    const outcome = await witness.submit(log.checkpoint(7))
    expect(outcome).toEqual({
      kind: 'contradiction',
      evidence: {
        contradiction: 'witness-ahead',
        witness: { name: 'w1', vkey: formatVkey(server.key), url: server.url },
        checkpoint: formatSignedCheckpoint(log.checkpoint(7)),
        request: server.requests[0],
        answer: {
          status: 409,
          mediaType: 'text/x.tlog.size',
          retryAfter: '',
          body: new TextEncoder().encode('8\n'),
        },
        shown: log.signed(8),
      },
    })
  })

  test.each([
    ['nothing', () => undefined],
    ['an error page', () => '<html>'],
    ['what the ledger has', (log: WitnessedLog) => log.signed(7)],
    [
      'a checkpoint under another key',
      (log: WitnessedLog) => log.signed(8).replace(/ \S+\n$/, ` ${'A'.repeat(92)}\n`),
    ],
  ])('is not a larger number for which a witness shows %s', async (_what, shown) => {
    const { log, server, witness } = await scene()
    server.latest = log.head(8)
    server.shown = shown(log)
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({
      kind: 'problem',
      problem: 'claims-more',
      detail: expect.stringContaining('a size larger than the ledger') as unknown,
    })
  })

  test.each([
    ['fork', 5],
    ['root-mismatch', 7],
  ])(
    'is a %s: a witness that has cosigned %d other entries, and says so twice, over two connections',
    async (contradiction, size) => {
      const { log, server, witness } = await scene()
      server.latest = WitnessedLog.other.head(size)
      const outcome = await witness.submit(log.checkpoint(7))
      expect(outcome).toMatchObject({
        kind: 'contradiction',
        evidence: { contradiction, answer: { status: 422 } },
      })
      expect(oldSizes(server)).toEqual([0, size, size])
      expect(server.connections).toBe(2)
    },
  )

  test('is a 409 without a size, of the very tree it cosigned', async () => {
    const { log, server, witness } = await scene()
    await witness.submit(log.checkpoint(7))
    const mismatch = reply(409, 'root mismatch', { 'content-type': 'text/plain' })
    server.script.push(mismatch, mismatch)
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({
      kind: 'contradiction',
      evidence: { contradiction: 'root-mismatch' },
    })
  })

  test.each([
    ['text/html', '<html>422</html>'],
    ['text/plain', '<!doctype html>'],
    ['application/json', '{}'],
    ['application/problem+json', ''],
  ])('is not a 422 of %s with the body %j, however often it comes', async (type, body) => {
    const { log, server, witness } = await scene()
    await witness.submit(log.checkpoint(3))
    server.always = reply(422, body, { 'content-type': type })
    for (let times = 0; times < 3; times += 1) {
      expect(await witness.submit(log.checkpoint(7))).toMatchObject({ problem: 'bad-answer' })
    }
  })

  test('is not a 422 that is not repeated', async () => {
    const { log, server, witness } = await scene()
    await witness.submit(log.checkpoint(3))
    server.script.push(reply(422, 'unprocessable', { 'content-type': 'text/plain' }))
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'cosigned' })
    expect(server.connections).toBe(2)
  })
})

describe('a problem, and no alarm', () => {
  test.each([
    ['refused-request', reply(400)],
    ['key-not-trusted', reply(403)],
    ['not-enrolled', reply(404)],
    ['overloaded', reply(429)],
    ['overloaded', reply(502, '<html>')],
    ['bad-answer', reply(200, 'x')],
    ['bad-answer', reply(200)],
    ['bad-answer', reply(202)],
    ['bad-answer', reply(409, '0\n', SIZE)],
    ['bad-answer', reply(409)],
    ['bad-answer', reply(422)],
    ['bad-answer', reply(409, 'seven\n', SIZE)],
    ['bad-answer', { kind: 'lie', about: 'tree' }],
    ['bad-answer', { kind: 'lie', about: 'key' }],
    ['bad-answer', { kind: 'lie', about: 'bit' }],
    ['bad-answer', { kind: 'lie', about: 'name' }],
    ['unreachable', { kind: 'reset' }],
    ['unreachable', { kind: 'flood' }],
  ] as const)('%s: %j', async (problem, answer) => {
    const { log, server, witness } = await scene()
    server.script.push(answer)
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'problem', problem })
    expect(witness.status()).toMatchObject({ cosignedSize: 0, problem: { problem } })
    expect(server.requests.length).toBe(1)

    // And all is well with the next answer.
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'cosigned' })
    expect(witness.status()).toMatchObject({ cosignedSize: 7, problem: undefined })
  })

  test('is another size each time: a witness that leads us on is not followed for ever', async () => {
    const { log, server, witness } = await scene()
    for (const size of [1, 2, 3, 4, 5, 6]) server.script.push(reply(409, `${size}\n`, SIZE))
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'problem', problem: 'bad-answer' })
    expect(oldSizes(server)).toEqual([0, 1, 2, 3])
  })

  test('is a redirect: it is not followed', async () => {
    const { log, server, witness } = await scene()
    const elsewhere = await log.startWitness()
    server.script.push(reply(308, '', { location: `${elsewhere.url}/add-checkpoint` }))
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'problem', problem: 'bad-answer' })
    expect(elsewhere.requests).toEqual([])
  })

  test('is silence, for as long as a request may take', async () => {
    const { log, server, witness } = await scene({ requestMs: SHORT_MS })
    server.script.push({ kind: 'silent' })
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({
      problem: 'unreachable',
      detail: `no answer within ${SHORT_MS} ms`,
    })
  })

  test('is a connect that hangs, for as long as a request may take', async () => {
    const { log, server } = await scene()
    const sockets = new Set<Socket>()
    const hanging = createServer((socket) => sockets.add(socket.on('error', () => socket.destroy())))
    hanging.listen(0, '127.0.0.1')
    await once(hanging, 'listening')
    open.push({
      close: async () => {
        for (const socket of sockets) socket.destroy()
        await new Promise((resolve) => hanging.close(resolve))
      },
    })
    const { port } = hanging.address() as AddressInfo
    // It takes the connection and never says a word of TLS.
    const witness = witnessAt(`https://127.0.0.1:${port}`, server, log, { requestMs: SHORT_MS })
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({ kind: 'problem', problem: 'unreachable' })
  })

  test('is not at that port', async () => {
    const { log, server, witness } = await scene()
    await log.witnesses.splice(0)[0]?.close()
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({
      problem: 'unreachable',
      detail: 'the request failed (ECONNREFUSED)',
    })
    expect(server.requests).toEqual([])
  })

  test('is a log that cannot prove its own growth: nothing is sent', async () => {
    const { log, server, witness } = await scene()
    await witness.submit(log.checkpoint(3))
    log.proof = () => Promise.reject(new Error('the tile is missing'))
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({
      problem: 'own-log',
      detail: 'the tile is missing',
    })
    expect(server.requests.length).toBe(1)
  })

  test('is a log that hangs, for as long as a request may take', async () => {
    const { log, server, witness } = await scene({ requestMs: 2_000 })
    server.latest = log.head(3)
    log.proof = () => new Promise(() => undefined)
    expect(await witness.submit(log.checkpoint(7))).toMatchObject({
      problem: 'own-log',
      detail: 'the log gave nothing within 2000 ms',
    })
    expect(server.requests.length).toBe(1)
  })

  test('is a log that cannot say how large it is by now: that is no proof of a rollback', async () => {
    const { log, server, witness } = await scene()
    server.latest = log.head(8)
    const offered = log.checkpoint(7)
    log.newest = () => Promise.reject(new Error('the store does not answer'))
    expect(await witness.submit(offered)).toMatchObject({ problem: 'own-log' })
  })
})

describe('when it is asked next', () => {
  /** From now, as far as a clock that goes on allows: never more, and a little less. */
  const waitMs = (witness: Witness, size: number) => witness.dueAt(size, false) - performance.now()

  test('after a success: a larger checkpoint once the gap allows, sooner when a mint waits for it, the same one when its time is old', async () => {
    const { log, witness } = await scene({ gapMs: 20_000, idleMs: 50_000, refreshMs: 900_000 })
    expect(waitMs(witness, 7)).toBeLessThanOrEqual(0)
    await witness.submit(log.checkpoint(7))
    expect(waitMs(witness, 8)).toBeGreaterThan(0)
    expect(waitMs(witness, 8)).toBeLessThanOrEqual(50_000)
    expect(witness.dueAt(8, true)).toBeCloseTo(witness.dueAt(8, false) - 30_000)
    expect(waitMs(witness, 7)).toBeGreaterThan(50_000)
    expect(waitMs(witness, 7)).toBeLessThanOrEqual(900_000)
    expect(witness.pending(8)).toBe(true)
    expect(witness.pending(7)).toBe(false)
  })

  test.each([
    ['at least half', 0, [50_000, 100_000, 200_000, 350_000, 350_000]],
    ['at most all', 0.999_999, [100_000, 200_000, 350_000, 350_000]],
  ])('after failures: %s of a time that doubles, up to the most', async (_, chance, waits) => {
    const backoff = { backoffMs: 100_000, maxBackoffMs: 350_000 }
    const { log, server, witness } = await scene(backoff, () => chance)
    server.always = reply(503)
    for (const wait of waits) {
      await witness.submit(log.checkpoint(7))
      expect(waitMs(witness, 7)).toBeGreaterThan(wait - 20_000)
      expect(waitMs(witness, 7)).toBeLessThanOrEqual(wait)
      expect(witness.pending(7)).toBe(false)
    }
    server.always = { kind: 'honest' }
    await witness.submit(log.checkpoint(7))
    server.always = reply(503)
    await witness.submit(log.checkpoint(8))
    expect(waitMs(witness, 8)).toBeLessThanOrEqual(100_000)
  })

  test('after a 429 that names a time: not before it, within reason', async () => {
    const { log, server, witness } = await scene({ maxBackoffMs: 500_000 })
    server.script.push(reply(429, '', { 'retry-after': '300' }), reply(429, '', { 'retry-after': '86400' }))
    await witness.submit(log.checkpoint(7))
    expect(waitMs(witness, 7)).toBeGreaterThan(200_000)
    expect(waitMs(witness, 7)).toBeLessThanOrEqual(300_000)
    await witness.submit(log.checkpoint(7))
    expect(waitMs(witness, 7)).toBeLessThanOrEqual(3_600_000)
    expect(waitMs(witness, 7)).toBeGreaterThan(3_500_000)
  })

  test('while it is asked: not at all', async () => {
    const { log, server, witness } = await scene()
    server.always = { kind: 'held' }
    const outcome = witness.submit(log.checkpoint(7))
    expect(witness.dueAt(7, true)).toBe(Infinity)
    expect(witness.pending(7)).toBe(true)
    await expect(witness.submit(log.checkpoint(7))).rejects.toThrow('one thing at a time')
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    server.letGo()
    expect(await outcome).toMatchObject({ kind: 'cosigned' })
    expect(server.mostInFlight).toBe(1)
  })
})
