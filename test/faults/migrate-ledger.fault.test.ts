// What can be wrong with either side of a move to another store, or go wrong on the way: the program refuses and names
// the entry, or it settles what became of its appends, and a broker runs on what it made.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import Sqlite from 'better-sqlite3'

import type { Sealed } from '../../src/domain/ledger/entry.js'
import { MAX_APPEND_TIMEOUT_MS } from '../../src/event-store/eventstoredb/address.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import { BrokerProcess } from '../support/broker-process.js'
import type { AppendFault } from '../support/eventstoredb/faults.js'
import { appendUntilSettled, asEvent, STREAM, textsOf } from '../support/eventstoredb/ledger.js'
import { LedgerBuilder } from '../support/ledger-builder.js'
import { signed } from '../support/ledger-signer.js'
import { EventStoreDbHome, onDisk } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { runSubcommand, writtenTo } from '../support/subcommand.js'
import { until } from '../support/until.js'
import { ledgerPath, verdictOn, verifiedLedger } from '../support/verified-ledger.js'

let folder: string
let home: EventStoreDbHome
const cleanup: (() => unknown)[] = []
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'migrate-faults-'))
  home = await EventStoreDbHome.open()
})
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
  await home.dispose()
  rmSync(folder, { recursive: true })
})

const file = (name = 'ledger.sqlite') => join(folder, name)
/** Node's own warnings (of TLS to an address without a name) are not the program's words. */
const stream = () => ({
  HOME: folder,
  STREAM: `${home.url}&defaultDeadline=${MAX_APPEND_TIMEOUT_MS}`,
  NODE_NO_WARNINGS: '1',
})
const toStream = (from = file()) =>
  runSubcommand(['migrate-ledger', '--from', `sqlite:${from}`, '--to', 'env:STREAM'], stream())
const fromStream = (to: string) =>
  runSubcommand(['migrate-ledger', '--from', 'env:STREAM', '--to', `sqlite:${to}`], stream())

const moved = () => textsOf(onDisk(home.standIn.database))
const appendsSent = () => home.standIn.calls.filter((call) => call === 'append').length

/** A ledger that the verifier has nothing to say against. */
function ledgerOf(mints: number): Sealed[] {
  const ledger = LedgerBuilder.opened()
  for (let i = 0; i < mints; i += 1) ledger.oidcMint()
  return ledger.entries
}

/** As many entries of such a ledger. */
function firstOf(count: number): Sealed[] {
  return ledgerOf(count).slice(0, count)
}

async function fill(entries: Sealed[]): Promise<void> {
  const store = home.open()
  await appendUntilSettled(store, signed(entries), 0)
  await store.close()
}

describe('a damaged source is refused by its entry, and nothing behind it is moved', () => {
  /** Beyond the first page that is read. */
  const AT = 1_500
  const entries = ledgerOf(1_000)
  const damages: [string, string][] = [
    ['an entry that is no JSON', `UPDATE ledger SET entry = '{' WHERE idx = ${AT}`],
    [
      'an entry that was rewritten',
      `UPDATE ledger SET entry = (SELECT entry FROM ledger WHERE idx = 9) WHERE idx = ${AT}`,
    ],
    ['an entry that is gone', `DELETE FROM ledger WHERE idx = ${AT}`],
  ]
  test.each(damages)('%s', async (_what, sql) => {
    await writtenTo(file(), entries)
    const database = new Sqlite(file())
    database.exec(`DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete; ${sql}`)
    database.close()
    const { code, out, err } = await toStream()
    expect({ code, out, err }).toEqual({ code: 1, out: '', err: expect.stringContaining(`entry ${AT}`) })
    expect(moved().length).toBeLessThanOrEqual(AT)
    expect(moved()).toEqual(textsOf(entries).slice(0, moved().length))
  })

  test('a stream with a redacted event, on the way back', async () => {
    await fill(firstOf(8))
    home.standIn.database.redact(STREAM, 5)
    const { code, err } = await fromStream(file('back.sqlite'))
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('entry 5') })
    expect(existsSync(file('back.sqlite'))).toBe(false)
  })

  test('a stream that hides entries, on the way back', async () => {
    await fill(firstOf(8))
    const { database } = home.standIn
    const metadata = { id: crypto.randomUUID(), type: '$metadata', contentType: 'application/json' }
    const data = Buffer.from('{"$tb":3}')
    database.append(`$$${STREAM}`, 'any', [{ ...metadata, data, metadata: new Uint8Array() }])
    const { code, err } = await fromStream(file('back.sqlite'))
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('does not show entry 0') })
  })
})

describe('a damaged target is refused by its entry, and left as it is', () => {
  const entries = firstOf(12)
  const damages: [string, () => void, string][] = [
    ['redacted', () => home.standIn.database.redact(STREAM, 5), 'its entry 5 is not the one'],
    [
      'rewritten',
      () => home.standIn.database.overwrite(STREAM, 5, { data: Buffer.from('{"forged":true}') }),
      'its entry 5 is not the one',
    ],
    ['soft-deleted', () => home.standIn.database.softDelete(STREAM), 'truncated or soft-deleted'],
    ['tombstoned', () => home.standIn.database.tombstone(STREAM), 'deleted for good'],
  ]
  test.each(damages)('%s', async (_what, damage, words) => {
    await writtenTo(file(), entries)
    await fill(entries.slice(0, 8))
    damage()
    const before = moved()
    const { code, out, err } = await toStream()
    expect({ code, out, err }).toEqual({ code: 1, out: '', err: expect.stringContaining(words) })
    expect(moved()).toEqual(before)
  })

  test('a user who may not write gets an answer that says so', async () => {
    await writtenTo(file(), entries)
    const url = home.urlFor('ledger-audit', 'audit-password-0123')
    const args = ['migrate-ledger', '--from', `sqlite:${file()}`, '--to', 'env:STREAM']
    const { code, err } = await runSubcommand(args, { ...stream(), STREAM: url })
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('denies access') })
    expect(err).not.toContain('audit-password')
    expect(moved()).toEqual([])
  })
})

describe('an append whose outcome is unknown', () => {
  test.each<AppendFault>([
    'commit-then-lose-the-reply',
    'commit-then-time-out',
    'commit-half-then-time-out',
    'commit-then-end-quietly',
    'reset',
    'swallow',
    'busy',
  ])('%s: each entry arrives once', async (fault) => {
    const entries = ledgerOf(600)
    await writtenTo(file(), entries)
    home.standIn.appends.next(fault, 'none', fault)
    const { code, err } = await toStream()
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(moved()).toEqual(textsOf(entries))
    expect((await verdictOn(ledgerPath(home.folder()))).findings).toEqual([])
  })

  test('a node that never takes them: exit 3, and the next run goes on', async () => {
    const entries = firstOf(12)
    await writtenTo(file(), entries)
    home.standIn.appends.always = 'busy'
    const { code, err } = await toStream()
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('Too Busy') })
    home.standIn.appends.always = undefined
    expect((await toStream()).code).toBe(0)
    expect(moved()).toEqual(textsOf(entries))
  })
})

describe('somebody writes meanwhile', () => {
  const entries = firstOf(12)
  const MEANWHILE = 'a broker wrote to the ledger meanwhile: stop all brokers, and run this again'

  /** At once, and without a call: the node's faults are for the move. */
  const writeBeside = (written: Sealed[]) =>
    home.standIn.database.append(
      STREAM,
      'any',
      textsOf(written).map((text) => asEvent(text)),
    )

  test('to the source: said, and the next run brings the rest', async () => {
    await writtenTo(file(), entries.slice(0, 10))
    // Both sides have been looked at, and the move is held up.
    const sent = appendsSent()
    home.standIn.appends.next('swallow')
    const moving = toStream()
    await until(() => appendsSent() > sent)
    const source = new Sqlite(file())
    for (const { entry, text, signature } of signed(entries.slice(10))) {
      source.prepare('INSERT INTO ledger VALUES (?, ?)').run(entry.index, text)
      if (signature) source.prepare('INSERT INTO signed_heads VALUES (?, ?)').run(entry.index, signature)
    }
    source.close()
    expect(await moving).toMatchObject({ code: 1, out: '', err: expect.stringContaining(MEANWHILE) })
    expect(await toStream()).toMatchObject({ code: 0, out: expect.stringContaining('2 of them copied now') })
    expect(moved()).toEqual(textsOf(entries))
  })

  test('another ledger to the target: refused by its entry, and left as it is', async () => {
    await writtenTo(file(), entries)
    await fill(entries.slice(0, 4))
    const sent = appendsSent()
    home.standIn.appends.next('swallow')
    const moving = toStream()
    await until(() => appendsSent() > sent)
    const theirs = entriesFrom(entries[3], 2, 'another')
    writeBeside(theirs)
    expect(await moving).toMatchObject({
      ...{ code: 1, out: '', err: expect.stringContaining('its entry 4 is not the one to be moved there') },
    })
    expect(moved()).toEqual(textsOf([...entries.slice(0, 4), ...theirs]))
  })

  test('more than there is to be moved, to the target: said, and then refused as the longer one', async () => {
    await writtenTo(file(), entries.slice(0, 10))
    home.standIn.appends.next('commit-then-say-nothing')
    const moving = toStream()
    await until(() => moved().length === 10)
    writeBeside(entries.slice(10))
    expect(await moving).toMatchObject({ code: 1, out: '', err: expect.stringContaining(MEANWHILE) })
    expect(await toStream()).toMatchObject({ code: 1, err: expect.stringContaining('more than the 10') })
    expect(moved()).toEqual(textsOf(entries))
  })
})

test('a broker goes on with what was moved, there and back: one ledger, and each credential in it once', async () => {
  const received = new Received()
  const env = { BROKER_ALLOWED_AUDIENCES: 'api.example.com' }
  let broker = await BrokerProcess.start({ env })
  cleanup.push(() => broker.dispose())
  const mintsAndStops = async () => {
    const { session } = await broker.session()
    for (let i = 0; i < 3; i += 1) {
      const reply: MintReply = await broker.post('/v1/mint-oidc-jwt', session)
      expect(reply.status).toBe(200)
      received.note(reply)
    }
    await broker.becomesReady()
    expect(await broker.stop()).toBe(0)
  }
  await mintsAndStops()
  const first = await verifiedLedger(broker.dataDir)

  expect(await toStream(ledgerPath(broker.dataDir))).toMatchObject({ code: 0, err: '' })
  broker = await broker.restart({ env: home.env })
  await mintsAndStops()
  const shared = await verifiedLedger(home.folder())
  expect(received.unexplainedBy(shared)).toEqual([])
  expect(shared.entries.slice(0, first.entries.length)).toEqual(first.entries)

  expect(await fromStream(file())).toMatchObject({ code: 0, err: '' })
  broker = await broker.restart({ env: { BROKER_LEDGER_URL: `sqlite:${file()}` } })
  await mintsAndStops()
  const own = await verifiedLedger(folder)
  expect(received.unexplainedBy(own)).toEqual([])
  expect(own.entries.slice(0, shared.entries.length)).toEqual(shared.entries)
  expect(received.count.jwts).toBe(9)

  // The stream is behind now: a broker that starts on it says so.
  const { code, reason } = await refusedStart({ ...broker.options, env: { ...env, ...home.env } })
  expect({ code, reason }).toEqual({ code: 1, reason: expect.stringMatching(/fewer|older|has \d+ entries/) })
})
