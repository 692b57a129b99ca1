// What a broker must not go on with: a ledger in EventStoreDB that was truncated, deleted, redacted or put back to an
// older state, and rights that are missing or too many. It stops minting, says why, and does not start on it either.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import type { Entry } from '../../src/domain/ledger/entry.js'
import { EsdbSource } from '../../tools/verify-ledger/sources/esdb.js'
import { BrokerProcess } from '../support/broker-process.js'
import type { Database, Proposed } from '../support/eventstoredb/database.js'
import { setMetadata, STREAM } from '../support/eventstoredb/ledger.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'
import { EventStoreDbHome, onDisk } from '../support/ledger-home.js'
import { type MintReply, Received } from '../support/received.js'
import { refusedStart } from '../support/refused-start.js'
import { until } from '../support/until.js'
import { VerifiedLedger, verdictFrom, verifiedLedger } from '../support/verified-ledger.js'

const MINT = '/v1/mint-oidc-jwt'
const AUDIENCE = { BROKER_ALLOWED_AUDIENCES: 'api.example.com' }

let home: EventStoreDbHome
const cleanup: (() => unknown)[] = []
beforeEach(async () => {
  home = await EventStoreDbHome.open()
  cleanup.push(() => home.dispose())
})
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})

/** A broker that has minted three tokens; each of them is in a ledger that verifies. */
async function minting(
  received: Received,
): Promise<{ broker: BrokerProcess; mint: () => Promise<MintReply> }> {
  const broker = await BrokerProcess.start({ env: { ...home.env, ...AUDIENCE } })
  cleanup.push(() => broker.dispose())
  const { session } = await broker.session()
  const mint = async () => {
    const reply: MintReply = await broker.post(MINT, session)
    received.note(reply)
    return reply
  }
  for (let i = 0; i < 3; i += 1) expect((await mint()).status).toBe(200)
  expect(received.unexplainedBy(await verifiedLedger(home.folder()))).toEqual([])
  return { broker, mint }
}

async function refusedMint(mint: () => Promise<MintReply>): Promise<MintReply> {
  let reply = await mint()
  await until(
    async () => reply.status !== 200 || (reply = await mint()).status !== 200,
    () => 'the broker goes on minting',
  )
  return reply
}

/** Waits until it is not ready, and says why. */
async function notReady(broker: BrokerProcess, why: RegExp): Promise<void> {
  let said = ''
  await until(
    async () => {
      const { status, body } = await broker.get<{ problems?: string[] }>('/readyz')
      said = body.problems?.join('\n') ?? 'nothing'
      return status === 503 && why.test(said)
    },
    () => `it does not say ${why}, but ${said}`,
  )
}

interface Damage {
  what: string
  act: (database: Database) => void
  /** What readyz says of it. */
  said: RegExp
  /** What the next start is refused with. */
  refused: RegExp
}

const UNHIDE =
  /its metadata says \$(tb|maxCount|maxAge) .*an administrator takes .* before any scavenge.*then run verify-ledger/

const OWN_ACL =
  /has an \$acl of its own that gives \$d to ledger-app: an administrator takes it out of the metadata of agentkeys-ledger/

const FOLLOWED: Damage[] = [
  {
    what: 'truncated before an entry',
    act: (database) => setMetadata(database, STREAM, { $tb: 3 }),
    said: /truncated or soft-deleted, or will be: its metadata says \$tb 3/,
    refused: UNHIDE,
  },
  {
    what: 'limited in length',
    act: (database) => setMetadata(database, STREAM, { $maxCount: 2 }),
    said: /its metadata says \$maxCount 2/,
    refused: UNHIDE,
  },
  {
    what: 'limited in age',
    act: (database) => setMetadata(database, STREAM, { $maxAge: 1e9 }),
    said: /its metadata says \$maxAge 1000000000\b/,
    refused: UNHIDE,
  },
  {
    what: "given an ACL of its own, by which the broker's user may delete it",
    act: (database) => setMetadata(database, STREAM, { $acl: { $d: ['ledger-app'] } }),
    said: OWN_ACL,
    refused: OWN_ACL,
  },
  {
    what: 'soft-deleted',
    act: (database) => database.softDelete(STREAM),
    said: /truncated or soft-deleted, or will be: its metadata says \$tb/,
    refused: UNHIDE,
  },
  {
    what: 'tombstoned',
    act: (database) => database.tombstone(STREAM),
    said: /deleted for good \(tombstoned\)/,
    refused:
      /deleted for good \(tombstoned\): stop all brokers, restore the nodes from a backup, run verify-ledger/,
  },
]

describe.each(FOLLOWED)('a stream that was $what', ({ act, said, refused }) => {
  test('stops the broker that runs on it, and the next start', async () => {
    const received = new Received()
    const { broker, mint } = await minting(received)
    const { database } = home.standIn
    const kept = home.folder()
    act(database)

    const { status, body } = await refusedMint(mint)
    expect({ status, error: body.error }).toEqual({ status: 500, error: 'audit_error' })
    await notReady(broker, said)
    expect(broker.log).toMatch(said)
    // What it wrote until it noticed is in the stream, if not in sight; from then on, nothing.
    const size = database.events(STREAM).length
    expect((await mint()).status).toBe(500)
    expect(database.events(STREAM)).toHaveLength(size)
    expect(received.unexplainedBy(await verifiedLedger(home.folder()))).toEqual([])
    expect((await verifiedLedger(kept)).entries.length).toBeLessThanOrEqual(size)

    await broker.stop()
    const start = await refusedStart(broker.options)
    expect(start).toEqual({ code: 1, reason: expect.stringMatching(refused) })
  })
})

const foreign = (change: Partial<Proposed>): Proposed => ({
  ...{ id: crypto.randomUUID(), type: 'OrderPlaced', contentType: 'application/json' },
  ...{ data: Buffer.from('{"order":7}'), metadata: Buffer.from('{}'), ...change },
})

/** Written by somebody who has the right to, behind the broker's last entry. */
const STRAY: [string, (database: Database) => Proposed, string][] = [
  ['of another application', () => foreign({}), 'malformed'],
  [
    'that is no JSON',
    () => foreign({ contentType: 'application/octet-stream', data: Buffer.of(0xff, 0, 1) }),
    'malformed',
  ],
  ['with the data cut off', () => foreign({ data: Buffer.from('{"order"') }), 'malformed'],
  [
    'that is an entry for another place',
    (database) => foreign(database.events(STREAM)[4] as Proposed),
    'wrong-index',
  ],
]

test.each(STRAY)(
  'an event %s arrives at a running broker: it stops, and names it, as the verifier does',
  async (_what, stray, kind) => {
    const received = new Received()
    const { broker, mint } = await minting(received)
    const { database } = home.standIn
    const before = onDisk(database)
    const at = before.length
    database.append(STREAM, 'any', [{ ...stray(database), id: crypto.randomUUID() }])

    const { status, body } = await refusedMint(mint)
    expect({ status, error: body.error }).toEqual({ status: 500, error: 'audit_error' })
    await notReady(broker, new RegExp(`entry ${at}\\b`))
    expect((await mint()).status).toBe(500)
    // Nothing was written behind it, and nothing handed out that is not before it.
    expect(database.events(STREAM)).toHaveLength(at + 1)
    const entries = before.map(({ text }) => JSON.parse(text) as Entry)
    expect(received.unexplainedBy(new VerifiedLedger(entries))).toEqual([])
    const { findings } = await verdictFrom(await EsdbSource.open(home.url, STREAM))
    expect(findings.map(({ index, kind }) => [index, kind])[0]).toEqual([at, kind])

    await broker.stop()
    const start = await refusedStart(broker.options)
    expect(start).toEqual({ code: 1, reason: expect.stringMatching(new RegExp(`entry ${at}\\b`)) })
  },
)

test('a soft-deleted stream is not begun again by a broker that never saw it', async () => {
  const { broker } = await minting(new Received())
  await broker.stop()
  home.standIn.database.softDelete(STREAM)
  const size = home.standIn.database.events(STREAM).length
  const dataDir = mkdtempSync(join(tmpdir(), 'agentkeys-'))
  const { code, reason } = await refusedStart({ dataDir, env: { ...home.env, ...AUDIENCE } })
  expect({ code, reason }).toEqual({ code: 1, reason: expect.stringContaining('soft-deleted') })
  expect(home.standIn.database.events(STREAM)).toHaveLength(size)
})

test.each<[string, (database: Database) => void, RegExp]>([
  ['redacted', (database) => database.redact(STREAM, 4), /damaged at or after entry/],
  [
    'rewritten',
    (database) => database.overwrite(STREAM, 4, { data: Buffer.from('{"wallet":"0x00"}') }),
    /damaged at or after entry/,
  ],
  [
    'put back from an older backup',
    (database) => database.forgetNewest(STREAM, 2),
    /older|fewer|has \d+ entries/,
  ],
])('a ledger that was %s is refused at the next start', async (_what, act, reason) => {
  const { broker } = await minting(new Received())
  expect(await broker.stop()).toBe(0)
  act(home.standIn.database)
  const size = home.standIn.database.events(STREAM).length
  expect(await refusedStart(broker.options)).toEqual({ code: 1, reason: expect.stringMatching(reason) })
  expect(home.standIn.database.events(STREAM)).toHaveLength(size)
})

test('a ledger put back from an older backup under a running broker: it stops, and writes no other history', async () => {
  const { broker, mint } = await minting(new Received())
  const { database } = home.standIn
  database.forgetNewest(STREAM, 2)
  const size = database.events(STREAM).length
  expect(await mint()).toMatchObject({ status: 500, body: { error: 'audit_error' } })
  expect((await broker.get('/readyz')).status).toBe(503)
  expect(database.events(STREAM)).toHaveLength(size)
})

describe('credentials and rights', () => {
  const start = (url: string) => refusedStart({ env: { ...AUDIENCE, BROKER_LEDGER_URL: url } })

  test('a wrong password is reported as such, and is not in the log', async () => {
    const broker = await BrokerProcess.spawn({
      env: { ...AUDIENCE, BROKER_LEDGER_URL: home.urlFor('ledger-app', 'wrong-canary') },
    })
    cleanup.push(() => broker.dispose())
    expect(await broker.exited()).toBe(1)
    expect(broker.log).toMatch(/does not know this user and password: correct .*BROKER_LEDGER_URL/)
    expect(broker.log).not.toContain('canary')
  })

  test('a CA that is not named is reported with the remedy', async () => {
    const [url] = home.url.split('?')
    expect(await start(url as string)).toEqual({
      code: 1,
      reason: expect.stringMatching(/certificate.*tlsCAFile/s),
    })
  })

  test('a password changed under a running broker: nothing unrecorded is handed out, and it goes on when it is put back', async () => {
    const received = new Received()
    const { broker, mint } = await minting(received)
    const user = home.standIn.access.users?.get('ledger-app')
    if (!user) throw new Error('there is no such user')
    const { password } = user
    user.password = 'changed'
    const { status, body } = await refusedMint(mint)
    expect({ status, error: body.error }).toEqual({ status: 500, error: 'audit_error' })
    // The subscription was opened with the old one: a cut makes it ask again, and be turned away.
    home.standIn.cutConnections()
    await until(
      () => /does not know this user.*are behind/.test(broker.log),
      () => 'it does not say that its read models are behind',
    )
    expect((await broker.get('/readyz')).status).toBe(503)
    user.password = password
    await until(
      async () => (await mint()).status === 200,
      () => 'it does not mint again',
    )
    await broker.becomesReady()
    expect(received.unexplainedBy(await verifiedLedger(home.folder()))).toEqual([])
  })

  const powers: [string, string, object, string][] = [
    ['an administrator', 'admin:changeit', {}, 'delete streams and write stream metadata'],
    ['a user who may delete', 'ledger-app', { $d: ['ledger-app'] }, 'delete streams'],
    ['a user who may write metadata', 'ledger-app', { $mw: ['ledger-app'] }, 'write stream metadata'],
  ]
  test.each(powers)('%s is too powerful to start with', async (_who, user, acl, may) => {
    const [name = '', password] = user.split(':')
    for (const stream of [STREAM, `${STREAM}-probe`])
      setMetadata(home.standIn.database, stream, { $acl: acl })
    const url = password === undefined ? home.url : home.urlFor(name, password)
    const { code, reason } = await start(url)
    expect({ code, reason }).toEqual({
      code: 1,
      reason: expect.stringContaining(`user may ${may}: run agentkeys-broker init-eventstore`),
    })
    expect(home.standIn.database.events(STREAM)).toEqual([])
  })

  test('--insecure-ledger lets it start all the same, with a warning', async () => {
    const insecure = await new StandIn().start()
    cleanup.push(() => insecure.dispose())
    expect((await start(insecure.url)).reason).toContain('--insecure-ledger')
    const env = { ...AUDIENCE, BROKER_LEDGER_URL: insecure.url }
    const broker = await BrokerProcess.start({ env, flags: ['--insecure-ledger'] })
    cleanup.push(() => broker.dispose())
    expect(broker.log).toMatch(
      /"level":"warn".*may delete streams and write stream metadata.*--insecure-ledger/,
    )
    expect((await broker.post(MINT, (await broker.session()).session)).status).toBe(200)
  })
})
