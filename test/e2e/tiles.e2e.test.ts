// The ledger's read side, as a broker serves it: what each path gives, who may have it, how long it may be kept, and
// that nothing else is to be had there, however the request is written.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { decodeBundle } from '../../src/domain/ledger/tiles.js'
import { entriesOf, expectVerified } from '../support/audited-ledger.js'
import { BrokerProcess } from '../support/broker-process.js'
import { type RawReply, rawRequest, sendRaw } from '../support/raw-http.js'

const FOREVER = 'max-age=31536000, immutable'
const BYTES = 'application/octet-stream'

let broker: BrokerProcess
let auditor: string
let session: string
let jti: string
let size: number

beforeAll(async () => {
  broker = await BrokerProcess.start()
  ;({ session } = await broker.session())
  for (let mint = 0; mint < 130; mint += 10) {
    const mints = Array.from({ length: 10 }, () => broker.post<{ jti: string }>('/v1/mint-oidc-jwt', session))
    jti = (await Promise.all(mints))[0]!.body.jti
  }
  auditor = `Authorization: Bearer ${readFileSync(join(broker.dataDir, 'auditor-token'), 'utf8').trim()}`
  size = entriesOf(broker.dataDir).length
  while (published() !== size) await new Promise((resolve) => setTimeout(resolve, 20))
})
afterAll(async () => {
  await expectVerified(broker.dataDir)
  await broker.dispose()
})

/** What the broker says it has signed for; kept a moment later than it is served. */
function published(): number {
  return parseSignedCheckpoint(readFileSync(join(broker.dataDir, 'last-checkpoint'))).size
}

const send = (line: string, headers: string[] = []) => sendRaw(broker.url, rawRequest(line, headers))
const get = (path: string, headers: string[] = []) => send(`GET ${path}`, headers)

const header = ({ head }: RawReply, name: string) =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim()
const bytesOf = ({ body }: RawReply) => Buffer.from(body, 'latin1')

describe('what there is', () => {
  test.each<[string, () => { path: string; type: string; cache: string; bytes?: number }]>([
    [
      'the checkpoint',
      () => ({ path: '/ledger/checkpoint', type: 'text/plain; charset=utf-8', cache: 'public, max-age=2' }),
    ],
    [
      'the key',
      () => ({ path: '/ledger/vkey', type: 'text/plain; charset=utf-8', cache: 'public, max-age=3600' }),
    ],
    [
      'a proof',
      () => ({ path: '/ledger/proof/0', type: 'text/plain; charset=utf-8', cache: 'public, max-age=2' }),
    ],
    [
      'a proof by jti',
      () => ({
        path: `/ledger/proof?jti=${jti}`,
        type: 'text/plain; charset=utf-8',
        cache: 'public, max-age=2',
      }),
    ],
    [
      'a full tile',
      () => ({ path: '/ledger/tile/0/000', type: BYTES, cache: `public, ${FOREVER}`, bytes: 8192 }),
    ],
    [
      'a partial tile, which never changes either',
      () => ({
        path: `/ledger/tile/0/001.p/${size - 256}`,
        type: BYTES,
        cache: `public, ${FOREVER}`,
        bytes: 32 * (size - 256),
      }),
    ],
    [
      'a partial tile of a log that was smaller',
      () => ({ path: '/ledger/tile/0/000.p/255', type: BYTES, cache: `public, ${FOREVER}`, bytes: 8160 }),
    ],
    [
      'a tile above',
      () => ({ path: '/ledger/tile/1/000.p/1', type: BYTES, cache: `public, ${FOREVER}`, bytes: 32 }),
    ],
  ])('%s: its type, how long it may be kept, and the same head for HEAD', async (_name, expected) => {
    const { path, type, cache, bytes } = expected()
    const reply = await get(path)
    expect([reply.status, header(reply, 'content-type'), header(reply, 'cache-control')]).toEqual([
      200,
      type,
      cache,
    ])
    if (bytes !== undefined) expect(bytesOf(reply).length).toBe(bytes)
    const head = await send(`HEAD ${path}`)
    expect([head.status, head.body, header(head, 'content-length'), header(head, 'cache-control')]).toEqual([
      ...[200, '', String(bytesOf(reply).length), cache],
    ])
  })

  test('a partial tile is the beginning of the full one, and a query changes nothing', async () => {
    const full = bytesOf(await get('/ledger/tile/0/000'))
    for (const width of [1, 2, 128, 255])
      expect(bytesOf(await get(`/ledger/tile/0/000.p/${width}`)).equals(full.subarray(0, 32 * width))).toBe(
        true,
      )
    expect(bytesOf(await get('/ledger/tile/0/000?past=a-cache')).equals(full)).toBe(true)
  })
})

describe('what there is not', () => {
  const BAD: string[] = [
    // Out of the folder, were it one.
    ...['tile/../..', 'tile/../checkpoint', 'tile/../../v1/audit/mints', 'tile/./0/000', 'tile//0/000'],
    ...['tile/entries/../0/000', '../ledger/checkpoint', 'tile/..\\..', 'tile/0/..', 'tile/0/000/../000'],
    ...[
      'tile/%2e%2e/checkpoint',
      'tile/..%2f..',
      'tile/0/%30%30%30',
      'tile/0%2f000',
      'tile%2f0/000',
      '%63heckpoint',
    ],
    // Not the one way to write it.
    ...[
      'tile/00/000',
      'tile/0/0',
      'tile/0/00',
      'tile/0/0000',
      'tile/0/x000/000',
      'tile/0/x001/x000',
      'tile/0/x001',
    ],
    ...[
      'tile/0/001/000',
      'tile/0/x01/000',
      'tile/0/X001/000',
      'tile/0/x0001/000',
      'tile/+0/000',
      'tile/-0/000',
    ],
    ...[
      'tile/0/-01',
      'tile/0/0x0',
      'tile/0/1e3',
      'tile/0/ 00',
      'tile/0/٠٠٠',
      'tile/Entries/000',
      'tile/entry/000',
    ],
    ...[
      'tile/0/000/',
      'tile/0/000.p',
      'tile/0/000.p/',
      'tile/0/000.p/1/',
      'tile/0/000.P/1',
      'tile/0/x000.p/1',
    ],
    ...[
      'tile/0/000.p/0',
      'tile/0/000.p/00',
      'tile/0/000.p/007',
      'tile/0/000.p/256',
      'tile/0/000.p/257',
      'tile/0/000.p/-1',
    ],
    ...[
      'tile/0/000.p/1.p/1',
      'tile/0/000.p/1000',
      'tile/',
      'tile',
      '',
      '/',
      'checkpoint/',
      'Checkpoint',
      'proof/1/2',
      'proof/',
    ],
    // Beyond the log, and beyond all logs.
    ...[
      'tile/0/001',
      'tile/0/002.p/1',
      'tile/1/000',
      'tile/1/000.p/2',
      'tile/1/001.p/1',
      'tile/2/000.p/1',
      'tile/63/000',
    ],
    ...[
      'tile/64/000',
      'tile/99/000',
      'tile/100/000',
      'tile/0/x999/999',
      'tile/0/x999/x999/x999/x999/x999/999',
    ],
    ...[
      'tile/0/x999/x999/x999/x999/x999/x999/999',
      'tile/0/x035/x184/x372/x088/832',
      'tile/entries/001',
      'tile/entries/002.p/1',
    ],
    ...[
      'tile/entries/000.p/256',
      'tile/entries/x000/000',
      'proof/9007199254740991',
      'proof/9007199254740992',
    ],
  ]

  test('every other way to write a path is a 404 that no cache keeps', async () => {
    for (const path of BAD) {
      // As bytes: fetch would tidy the path up, and a proxy in front may not.
      const reply = await get(`/ledger/${path}`, [auditor])
      const found = { path, status: reply.status, cache: header(reply, 'cache-control') }
      const malformed = / |[^\x21-\x7e]/.test(path)
      if (malformed)
        expect([path, [400, 404].includes(reply.status), reply.body.includes('origin')]).toEqual([
          path,
          true,
          false,
        ])
      else {
        expect(found).toEqual({ path, status: 404, cache: 'no-store' })
        expect(JSON.parse(reply.body)).toMatchObject({ error: 'not_found' })
      }
    }
  })

  test('the width behind the end of the log is not there yet', async () => {
    expect((await get(`/ledger/tile/0/001.p/${size - 256 + 1}`)).status).toBe(404)
    expect((await get(`/ledger/tile/entries/001.p/${size - 256 + 1}`, [auditor])).status).toBe(404)
    expect((await get(`/ledger/proof/${size - 1}`)).status).toBe(200)
    expect((await get(`/ledger/proof/${size}`)).status).toBe(404)
  })

  test.each(['00', '01', '-1', '+1', '1e3', '0x10', '1.0', '99999999999999999', 'NaN', 'x'])(
    'a proof of the index %s is a 400',
    async (index) => {
      const { status, body } = await get(`/ledger/proof/${index}`)
      const message = 'bad request: the index must be a decimal number without leading zeros'
      expect([status, JSON.parse(body)]).toEqual([
        400,
        { error: 'bad_request', message, reason: 'invalid-field' },
      ])
    },
  )

  test('a proof of a jti that is none is a 400, of an unknown one a 404', async () => {
    const bad = [
      '',
      '?jti=',
      '?jti=x',
      `?jti=${jti.toUpperCase()}`,
      `?jti=${jti}&jti=${jti}`,
      `?jti[]=${jti}`,
      `?jti=${jti}0`,
    ]
    for (const query of [...bad, `?jti=%22${jti}`, `?JTI=${jti}`, "?jti=' OR 1=1 --"]) {
      const { status, body } = await get(`/ledger/proof${query.replaceAll(' ', '+')}`)
      expect([query, status, body.includes('bad_request')]).toEqual([query, 400, true])
    }
    expect((await get('/ledger/proof?jti=00000000-0000-7000-8000-000000000000')).status).toBe(404)
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])('%s is a 405', async (method) => {
    for (const path of ['checkpoint', 'vkey', 'tile/0/000', 'tile/entries/000', 'proof', 'proof/0']) {
      const reply = await send(`${method} /ledger/${path}`, [auditor])
      expect([path, reply.status, header(reply, 'allow')]).toEqual([path, 405, 'GET, HEAD'])
      expect(JSON.parse(reply.body)).toMatchObject({ error: 'method_not_allowed' })
    }
  })
})

describe('entry bundles', () => {
  const BUNDLE = '/ledger/tile/entries/000'

  test('are for the auditor: the bytes that are stored, in no cache but his own', async () => {
    const reply = await get(BUNDLE, [auditor])
    expect([reply.status, header(reply, 'content-type'), header(reply, 'cache-control')]).toEqual([
      ...[200, BYTES, `private, ${FOREVER}`],
    ])
    const entries = decodeBundle(bytesOf(reply), 256).map(
      (bytes) => JSON.parse(Buffer.from(bytes).toString()) as unknown,
    )
    expect(entries).toEqual(entriesOf(broker.dataDir).slice(0, 256))
    const partial = bytesOf(await get(`${BUNDLE}.p/5`, [auditor]))
    expect(bytesOf(reply).subarray(0, partial.length).equals(partial)).toBe(true)
    expect(decodeBundle(partial, 5)).toHaveLength(5)
  })

  test('belong to this log only', async () => {
    const bearer = (token: string) => [`Authorization: Bearer ${token}`]
    const asked: [string[], number, string][] = [
      [[], 401, 'unauthorized'],
      [bearer('wrong'), 401, 'unauthorized'],
      [[auditor, auditor], 401, 'unauthorized'],
      [[auditor.replace('Bearer', 'bearer')], 401, 'unauthorized'],
      [[`${auditor}0`], 401, 'unauthorized'],
      [bearer(session), 403, 'forbidden'],
      [bearer(readFileSync(join(broker.dataDir, 'operator-token'), 'utf8').trim()), 401, 'unauthorized'],
    ]
    for (const [headers, status, error] of asked) {
      for (const path of [BUNDLE, `${BUNDLE}.p/1`, `${BUNDLE}?x=1`]) {
        const reply = await get(path, headers)
        const body = JSON.parse(reply.body) as { error: string }
        expect([headers, reply.status, body.error, header(reply, 'cache-control')]).toEqual([
          ...[headers, status, error, 'no-store'],
        ])
      }
    }
    expect(await send(`HEAD ${BUNDLE}`)).toMatchObject({ status: 401, body: '' })
  })

  test.each([
    ['gzip', true],
    ['GZIP', true],
    ['br;q=1, gzip;q=0.5', true],
    ['deflate,gzip', true],
    ['gzip; q=0', false],
    ['gzip;q=0.000, identity', false],
    ['identity', false],
    ['br', false],
    ['*', false],
    ['x-gzip-not', false],
    ['gzipped', false],
    ['', false],
  ])('Accept-Encoding: %j: gzip %s', async (accepted, zipped) => {
    const plain = bytesOf(await get(BUNDLE, [auditor]))
    const reply = await get(BUNDLE, [auditor, `Accept-Encoding: ${accepted}`])
    expect([reply.status, header(reply, 'vary'), header(reply, 'content-encoding')]).toEqual([
      ...[200, 'Accept-Encoding', zipped ? 'gzip' : undefined],
    ])
    const bytes = zipped ? gunzipSync(bytesOf(reply)) : bytesOf(reply)
    expect(bytes.equals(plain)).toBe(true)
  })

  test('are anybody’s where the operator says so', async () => {
    const open = await BrokerProcess.start({ env: { BROKER_LEDGER_ENTRIES: 'public' } })
    try {
      const path = '/ledger/tile/entries/000.p/1'
      const reply = await sendRaw(open.url, rawRequest(`GET ${path}`))
      expect([reply.status, header(reply, 'cache-control')]).toEqual([200, `public, ${FOREVER}`])
      await expectVerified(open.dataDir)
    } finally {
      await open.dispose()
    }
  })
})
