// Somebody with the disk of an EventStoreDB node rewrites the stream that a real broker wrote. What is read of it over
// the wire is given to the verifier, entry by entry, as tamper.fault.test.ts does with a file.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { canonicalize, type Json } from '../../src/domain/ledger/canonical.js'
import { parseSignedCheckpoint } from '../../src/domain/ledger/checkpoint.js'
import { leafHash } from '../../src/domain/ledger/entry.js'
import { parseVkey } from '../../src/domain/ledger/note.js'
import { startAwsBroker } from '../support/aws-broker.js'
import type { Database, Proposed, Recorded } from '../support/eventstoredb/database.js'
import { readAll, STREAM } from '../support/eventstoredb/ledger.js'
import { writeSqlite } from '../support/ledger-builder.js'
import { EventStoreDbHome } from '../support/ledger-home.js'
import { Received } from '../support/received.js'
import { ledgerPath, type Remembered, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

/** A SessionValidated in the middle of the ledger; its JwtIssued follows. */
const AT = 6
let home: EventStoreDbHome
let database: Database
let untouched: Recorded[]
let remembered: Remembered

beforeAll(async () => {
  home = await EventStoreDbHome.open()
  ;({ database } = home.standIn)
  const { aws, broker } = await startAwsBroker({ env: home.env })
  const received = new Received()
  const { session } = await broker.session()
  for (const kind of ['oidc-jwt', 'aws-creds', 'oidc-jwt', 'aws-creds'])
    received.note(await broker.post(`/v1/mint-${kind}`, session))
  expect(await broker.stop()).toBe(0)
  await aws.close()
  const ledger = await verifiedLedger(home.folder())
  expect(received.unexplainedBy(ledger)).toEqual([])
  expect(received.count).toEqual({ jwts: 2, keys: 2 })
  expect(ledger.types.slice(AT, AT + 2)).toEqual(['SessionValidated', 'JwtIssued'])
  untouched = database.events(STREAM).map((event) => ({ ...event }))
  remembered = {
    checkpoint: parseSignedCheckpoint(readFileSync(join(broker.dataDir, 'last-checkpoint'))),
    vkey: parseVkey((ledger.of('LedgerOpened')[0] as { data: { vkey: string } }).data.vkey),
  }
  await broker.dispose()
}, 90_000)
afterAll(() => home.dispose())
afterEach(() => untouched.forEach((event, revision) => database.overwrite(STREAM, revision, event)))

/** What the verifier says of the stream as any reader is given it. */
async function found(by: Remembered = {}): Promise<[number, string][]> {
  const store = home.open()
  const folder = mkdtempSync(join(tmpdir(), 'tampered-'))
  try {
    writeSqlite(ledgerPath(folder), [await readAll(store)])
    const { findings, ok } = await verdictOn(ledgerPath(folder), by)
    expect(ok).toBe(findings.length === 0)
    return findings.map(({ index, kind }) => [index, kind])
  } finally {
    await store.close()
    rmSync(folder, { recursive: true })
  }
}

/** `bytes`, with one piece of its text replaced. */
function replaced(bytes: Uint8Array, from: string | RegExp, to: string): Uint8Array {
  const text = Buffer.from(bytes).toString()
  expect(text).toMatch(from)
  return Buffer.from(text.replace(from, to))
}

type Change = (event: Recorded) => Partial<Proposed>
const data = (from: string | RegExp, to: string): Change => {
  return (event) => ({ data: replaced(event.data, from, to) })
}
const metadata = (from: string | RegExp, to: string): Change => {
  return (event) => ({ metadata: replaced(event.metadata, from, to) })
}

test('untouched, nothing is found', async () => {
  expect(await found(remembered)).toEqual([])
})

test.each<[string, Change, [number, string]]>([
  ['data, and its form is lost', data(/"wallet":"0x./, '"wallet":"0xg'), [AT, 'wrong-shape']],
  [
    'data, to another good value',
    data(/"tokenSha256":"[0-9a-f]{64}/, `"tokenSha256":"${'f'.repeat(64)}`),
    [AT + 1, 'broken-link'],
  ],
  ['data that is no JSON', () => ({ data: Buffer.from('{') }), [AT, 'malformed']],
  ['the type', () => ({ type: 'SessionValidatec' }), [AT, 'unknown-type']],
  ['the content type', () => ({ contentType: 'application/octet-stream' }), [AT, 'malformed']],
  ['the index', metadata(`"index":${AT}`, `"index":${AT + 1}`), [AT, 'wrong-index']],
  ['the time', metadata(/"time":"20/, '"time":"19'), [AT, 'time-backwards']],
  ['the link', metadata(/"prev":"[0-9a-f]{64}/, `"prev":"${'0'.repeat(64)}`), [AT, 'broken-link']],
  ['the version', metadata('"v":1', '"v":2'), [AT, 'malformed']],
])('an event is changed: %s', async (_what, change, finding) => {
  database.overwrite(STREAM, AT, change(untouched[AT] as Recorded))
  expect((await found())[0]).toEqual(finding)
})

test('an event is redacted with the tool of the vendor', async () => {
  database.redact(STREAM, AT)
  expect((await found())[0]).toEqual([AT, 'malformed'])
})

test('who wrote an entry, and with which append, is a hint and no part of it', async () => {
  database.overwrite(STREAM, AT, metadata(/"by":"[^"]*"/, '"by":"another"')(untouched[AT] as Recorded))
  expect(await found(remembered)).toEqual([])
})

test('two events change places', async () => {
  for (const [at, from] of [
    [AT, AT + 1],
    [AT + 1, AT],
  ] as const) {
    const { type, data, metadata } = untouched[from] as Recorded
    database.overwrite(STREAM, at, { type, data, metadata })
  }
  expect((await found())[0]).toEqual([AT, 'wrong-index'])
})

test('one is changed and all later ones are chained anew: found only with an older checkpoint', async () => {
  let prev: string | undefined
  for (const [at, event] of untouched.entries()) {
    if (at < AT) continue
    const { by, upTo, ...members } = JSON.parse(Buffer.from(event.metadata).toString()) as Record<
      string,
      Json
    >
    const content = JSON.parse(Buffer.from(event.data).toString()) as Record<string, Json>
    if (at === AT) content['tokenSha256'] = 'f'.repeat(64)
    if (prev !== undefined) members['prev'] = prev
    prev = leafHash(canonicalize({ ...members, type: event.type, data: content }))
    database.overwrite(STREAM, at, {
      data: Buffer.from(JSON.stringify(content)),
      metadata: Buffer.from(JSON.stringify({ ...members, by, upTo })),
    })
  }
  expect(await found()).toEqual([])
  expect((await found(remembered)).map(([, kind]) => kind)).toEqual(['other-head'])
})
