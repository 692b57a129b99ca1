// The ledger in a secured EventStoreDB: TLS with a private CA, wrong passwords, missing rights, and no secret anywhere
// it could be read.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'

import { StoreError } from '../../src/event-store/event-store.js'
import { EventStoreDbEventStore } from '../../src/event-store/eventstoredb.js'
import { parseAddress } from '../../src/event-store/eventstoredb/address.js'
import { auditPermissions } from '../../src/event-store/eventstoredb/setup.js'
import { entriesFrom } from '../contract/event-store.contract.js'
import { certificates, type NodeCertificate, nodeCertificate } from '../support/eventstoredb/certificates.js'
import { readAll, STREAM, textsOf } from '../support/eventstoredb/ledger.js'
import { StandIn } from '../support/eventstoredb/stand-in.js'

const PASSWORD = 'p@ss:word/%'
const entries = entriesFrom(undefined, 4)
const folder = mkdtempSync(join(tmpdir(), 'eventstoredb-tls-'))
let caFile: string
let tls: NodeCertificate
let standIn: StandIn
const stores: EventStoreDbEventStore[] = []

beforeAll(() => {
  ;({ caFile, tls } = certificates(folder))
})
afterAll(() => rmSync(folder, { recursive: true }))
const USERS = { 'ledger-app': { password: PASSWORD, groups: [] }, other: { password: 'o', groups: [] } }
beforeEach(async () => {
  standIn = await new StandIn({ tls, users: USERS }).start()
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  await standIn.dispose()
})

function opened(user: string, options = `tlsCAFile=${encodeURIComponent(caFile)}`): EventStoreDbEventStore {
  const url = `esdb://${user}@127.0.0.1:${standIn.port}?${options}`
  const store = new EventStoreDbEventStore(url, { stream: STREAM, node: 'n1' })
  stores.push(store)
  return store
}
const APP = `ledger-app:${encodeURIComponent(PASSWORD)}`

const WRONG_PASSWORD =
  'EventStoreDB does not know this user and password: correct the connection string (a broker reads it from BROKER_LEDGER_URL'

async function failureOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => new Error('it went through'),
    (error: Error) => error,
  )
}

test('with the CA in the connection string the ledger is written and read over TLS', async () => {
  const store = opened(APP)
  await store.append(entries, 0)
  expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
})

test('without the CA it is refused at once, naming the remedy, and not retried as a node that is down', async () => {
  const store = opened(APP, 'tls=true')
  for (const failure of [await failureOf(store.append(entries, 0)), await failureOf(store.size())]) {
    expect(failure).toMatchObject({ code: 'refused' })
    expect(failure.message).toMatch(/certificate.*tlsCAFile/s)
  }
  await expect(follow(store)).rejects.toMatchObject({ code: 'refused' })
})

test('a CA file that is missing is reported when the store is made', () => {
  expect(() => opened(APP, 'tlsCAFile=/nowhere/ca.pem')).toThrow(/certificate file/)
})

/** The node comes back where it was, with its data. */
async function restartedWith(other: NodeCertificate): Promise<void> {
  const { port, database } = standIn
  await standIn.dispose()
  standIn = await new StandIn({ tls: other, users: USERS, database }).start(port)
}

/** Sends the same bytes to the same place until they are written, or refused. */
async function appended(store: EventStoreDbEventStore): Promise<unknown> {
  for (;;) {
    const failure = await store.append(entries.slice(2), 2).catch((error: Error) => error)
    if (!(failure instanceof StoreError) || failure.code === 'refused') return failure
  }
}

test.each([
  ['has expired', { days: -1 }, /TLS to EventStoreDB fails: .*certificate has expired.*tlsCAFile/s],
  ['is for another name', { name: 'DNS:node1' }, /TLS to EventStoreDB fails: .*altnames.*tlsCAFile/s],
])('a node whose certificate %s is refused, and written to again once it has a good one', async (...row) => {
  const [, bad, message] = row
  const store = opened(APP)
  await store.append(entries.slice(0, 2), 0)
  await restartedWith(nodeCertificate(folder, bad))
  expect(await appended(store)).toMatchObject({ code: 'refused', message: expect.stringMatching(message) })
  expect(await failureOf(store.size())).toMatchObject({ code: 'refused' })
  await restartedWith(tls)
  expect(await appended(store)).toBeUndefined()
  expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
})

test('of several nodes the client tells no certificate apart from a node that is down: it counts as unavailable', async () => {
  await restartedWith(nodeCertificate(folder, { days: -1 }))
  const host = `127.0.0.1:${standIn.port}`
  const options = `tlsCAFile=${encodeURIComponent(caFile)}&maxDiscoverAttempts=2`
  const store = new EventStoreDbEventStore(`esdb://${APP}@${host},${host}?${options}`, { stream: STREAM })
  stores.push(store)
  expect(await failureOf(store.append(entries, 0))).toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('Failed to discover'),
  })
})

test('with two CAs in its file a node may have its certificate from the old one or the new', async () => {
  const next = mkdtempSync(join(folder, 'next-'))
  const { caFile: nextCa, tls: nextTls } = certificates(next)
  const both = join(folder, 'both.pem')
  writeFileSync(both, Buffer.concat([readFileSync(caFile), readFileSync(nextCa)]))
  const store = opened(APP, `tlsCAFile=${encodeURIComponent(both)}`)
  await store.append(entries.slice(0, 2), 0)
  await restartedWith(nextTls)
  expect(await appended(store)).toBeUndefined()
  expect(await failureOf(opened(APP).size())).toMatchObject({ code: 'refused' })
  expect(textsOf(await readAll(store))).toEqual(textsOf(entries))
})

test('a wrong password is refused, and distinguished from a missing right', async () => {
  const store = opened('ledger-app:wrong')
  const refusal = { code: 'refused', message: expect.stringContaining(WRONG_PASSWORD) }
  await expect(store.append(entries, 0)).rejects.toMatchObject(refusal)
  await expect(store.append(entries, 1)).rejects.toMatchObject(refusal)
  await expect(store.read(0, 1)).rejects.toMatchObject(refusal)
  await expect(follow(store)).rejects.toMatchObject(refusal)
})

test('a user without the right to write reads, and its append is refused', async () => {
  const acl = { $acl: { $w: ['ledger-app'] } }
  const metadata = { id: crypto.randomUUID(), type: '$metadata', contentType: 'application/json' }
  const data = Buffer.from(JSON.stringify(acl))
  standIn.database.append(`$$${STREAM}`, 'any', [{ ...metadata, data, metadata: new Uint8Array() }])
  await opened(APP).append(entries, 0)

  const other = opened('other:o')
  expect(textsOf(await readAll(other))).toEqual(textsOf(entries))
  await expect(other.append(entriesFrom(entries[3], 1), 4)).rejects.toMatchObject({
    code: 'refused',
    message:
      "EventStoreDB denies access: the user's rights to the ledger stream and its metadata do not suffice: " +
      "an administrator runs agentkeys-broker init-eventstore, and takes any $acl out of the stream's own metadata",
  })
})

test('the password is in no description, no error and nothing that is inspected', async () => {
  const store = opened(APP)
  expect(store.description).toBe(`esdb://127.0.0.1:${standIn.port} stream ${STREAM}`)
  const failures = [
    await failureOf(opened(APP, 'tls=true').size()),
    await failureOf(store.append(entries, 3)),
  ]
  const shown = [store, ...failures].map((value) => inspect(value, { depth: 12, showHidden: false }))
  const basic = Buffer.from(`ledger-app:${PASSWORD}`).toString('base64')
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), basic])
    expect(shown.filter((text) => text.includes(secret))).toEqual([])
})

test('nor is it in what the client prints when it is debugged', () => {
  const script = `
    const { EventStoreDbEventStore } = await import(process.env.STORE)
    const store = new EventStoreDbEventStore(process.env.LEDGER_URL, { stream: 's' })
    const failed = await store.append([{ text: '{}', leafHash: '0'.repeat(64) }], 0).catch((error) => error)
    console.error(failed)
    await store.close()`
  const path = join(folder, 'debugged.mjs')
  writeFileSync(path, script)
  const { stderr } = spawnSync(process.execPath, [path], {
    encoding: 'utf8',
    env: {
      ...process.env,
      DEBUG: 'esdb:*',
      STORE: new URL('../../src/event-store/eventstoredb.js', import.meta.url).href,
      // No one listens at the discard port.
      LEDGER_URL: `esdb://${APP}@127.0.0.1:9?defaultDeadline=500`,
    },
  })
  expect(stderr).toMatch(/esdb:.*ledger-app/s)
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD)]) expect(stderr).not.toContain(secret)
})

const malformed: [string, RegExp][] = [
  ['http://127.0.0.1:2113', /esdb:\/\/user:password@host/],
  ['esdb://secret@127.0.0.1:2113', /user:password@/],
  ['esdb://u:secret@host:2113/db', /esdb:\/\/user:password@host/],
  ['esdb://u:sec/ret@host:2113', /esdb:\/\/user:password@host|hosts/],
  ['esdb://u:secret%@host:2113', /percent-encoded/],
  ['esdb://host:2113', /must name a user and a password, or say tls=false/],
  ['esdb://u:secret@ho st', /hosts as host:port/],
  ['esdb://u:secret@host:2113?tlsVerifyCert=false', /tlsCAFile/],
  ['esdb://u:secret@host:2113?throwOnAppendFailure=false', /not known/],
  ['esdb://u:secret@host:2113?tls=yes', /tls .*true or false/],
  ['esdb://u:secret@host:2113?keepAliveInterval=-1', /positive whole number/],
  ['esdb://u:secret@host:2113?constructor=1', /not known/],
]
test.each(malformed)('%s is refused without repeating the secret', (url, message) => {
  expect(() => parseAddress(url)).toThrow(message)
  expect(() => parseAddress(url)).not.toThrow(/secret/)
})

test('a cluster, its options and an encoded password are understood', () => {
  const url = 'esdb://ledger-app:p%40ss@a.example:2111,b.example?nodePreference=leader&DEFAULT_DEADLINE=2500'
  const address = parseAddress(url)
  expect(address).toMatchObject({
    clientUrl: 'esdb://a.example:2111,b.example?nodePreference=leader&DEFAULT_DEADLINE=2500',
    name: 'esdb://a.example:2111,b.example',
    appendTimeoutMs: 2500,
  })
  expect(address.credentials.username).toBe('ledger-app')
  expect(address.credentials.password).toBe('p@ss')
})

test('a URL without options is one the client takes', async () => {
  const url = `esdb://${APP}@127.0.0.1:${standIn.port}`
  expect(parseAddress(url).clientUrl).toBe(`esdb://127.0.0.1:${standIn.port}`)
  // It gets as far as the server, whose CA no one knows.
  const store = new EventStoreDbEventStore(url, { stream: STREAM })
  stores.push(store)
  await expect(store.size()).rejects.toMatchObject({ message: expect.stringContaining('certificate') })
})

test('a wrong password and an unknown CA are reported as what they are when rights are asked for', async () => {
  const ask = (user: string, options = '') =>
    failureOf(auditPermissions(parseAddress(`esdb://${user}@127.0.0.1:${standIn.port}${options}`), STREAM))
  expect(await ask('ledger-app:wrong', `?tlsCAFile=${encodeURIComponent(caFile)}`)).toMatchObject({
    code: 'refused',
    message: expect.stringContaining(WRONG_PASSWORD),
  })
  expect(await ask(APP)).toMatchObject({ code: 'refused', message: expect.stringMatching(/tlsCAFile/) })
})

async function follow(store: EventStoreDbEventStore): Promise<void> {
  for await (const batch of store.follow(0, new AbortController().signal)) expect(batch).toEqual([])
}
