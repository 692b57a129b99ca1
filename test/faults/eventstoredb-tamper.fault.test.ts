// Somebody with the disk of an EventStoreDB node changes single events of the stream that a real broker wrote: what an
// event has and an entry's text has not. The rest is in tamper.fault.test.ts.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { leafHash } from '../../src/domain/ledger/entry.js'
import { verifyLedger } from '../../src/domain/ledger/verify.js'
import { EsdbSource } from '../../tools/verify-ledger/sources/esdb.js'
import type { Database, Proposed, Recorded } from '../support/eventstoredb/database.js'
import { STREAM } from '../support/eventstoredb/ledger.js'
import { EventStoreDbHome, onDisk } from '../support/ledger-home.js'
import { AT, type MintedLedger, mintedLedger } from '../support/minted-ledger.js'
import { type Remembered, verdictFrom } from '../support/verified-ledger.js'

let home: EventStoreDbHome
let database: Database
let untouched: Recorded[]
let ledger: MintedLedger
let remembered: Remembered

beforeAll(async () => {
  ledger = await mintedLedger(async () => (home = await EventStoreDbHome.open()))
  ;({ remembered } = ledger)
  ;({ database } = home.standIn)
  untouched = database.events(STREAM).map((event) => ({ ...event }))
})
afterAll(() => ledger.dispose())
afterEach(() => untouched.forEach((event, revision) => database.overwrite(STREAM, revision, event)))

/** What the auditor's program says of the stream. */
async function found(by: Remembered = {}): Promise<[number, string][]> {
  const { findings, ok } = await verdictFrom(await EsdbSource.open(home.url, STREAM), by)
  expect(ok).toBe(findings.length === 0)
  return findings.map(({ index, kind }) => [index, kind])
}

/** `bytes`, with one piece of its text replaced. */
function replaced(bytes: Uint8Array, from: string | RegExp, to: string): Uint8Array {
  const text = Buffer.from(bytes).toString()
  expect(text).toMatch(from)
  return Buffer.from(text.replace(from, to))
}

type Change = (event: Recorded) => Partial<Proposed>
const metadata = (from: string | RegExp, to: string): Change => {
  return (event) => ({ metadata: replaced(event.metadata, from, to) })
}

test('untouched, nothing is found', async () => {
  expect(await found(remembered)).toEqual([])
})

test.each<[string, Change, [number, string]]>([
  ['data that is no JSON', () => ({ data: Buffer.from('{') }), [AT, 'malformed']],
  ['data that is empty', () => ({ data: new Uint8Array() }), [AT, 'malformed']],
  ['metadata that is empty', () => ({ metadata: new Uint8Array() }), [AT, 'malformed']],
  ['the content type', () => ({ contentType: 'application/octet-stream' }), [AT, 'malformed']],
  ['the type', () => ({ type: 'SessionValidatec' }), [AT, 'unknown-type']],
  ['the link', metadata(/"prev":"[0-9a-f]{64}/, `"prev":"${'0'.repeat(64)}`), [AT, 'broken-link']],
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

test('whichever byte of data, metadata or type it is, something is found; but for the hint', () => {
  const texts = onDisk(database).map(({ text }) => text)
  const expected = { size: texts.length, head: leafHash(texts.at(-1) ?? '') }
  for (const [revision, event] of untouched.entries()) {
    for (const [change, at] of flips(event)) {
      database.overwrite(STREAM, revision, change)
      const changed = onDisk(database).map(({ text }) => text)
      database.overwrite(STREAM, revision, event)
      const isHint = 'metadata' in change && at > Buffer.from(event.metadata).indexOf(',"by":')
      if (changed[revision] === texts[revision])
        expect({ revision, at, isHint }).toMatchObject({ isHint: true })
      else expect(verifyLedger(changed, expected).ok).toBe(false)
    }
  }
})

/** The event with another byte in it, once for each byte that it has. */
function* flips(event: Recorded): Generator<[Partial<Proposed>, number]> {
  for (const member of ['data', 'metadata', 'type'] as const) {
    const bytes = Buffer.from(event[member])
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes)
      flipped[at] = bytes[at] === 0x31 ? 0x32 : 0x31
      yield [{ [member]: member === 'type' ? flipped.toString() : flipped }, at]
    }
  }
}
