import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'

import { entriesFrom } from '../../../test/contract/event-store.contract.js'
import { certificates, nodeCertificate } from '../../../test/support/eventstoredb/certificates.js'
import { setMetadata, textsOf } from '../../../test/support/eventstoredb/ledger.js'
import { StandIn, type StandInOptions } from '../../../test/support/eventstoredb/stand-in.js'
import { EventStoreDbEventStore } from '../eventstoredb.js'
import { parseAddress } from './address.js'
import { initEventStore, auditPermissions } from './setup.js'

const folder = mkdtempSync(join(tmpdir(), 'eventstoredb-setup-'))
let secured: ReturnType<typeof certificates>
let standIn: StandIn
const urlOf = (user: string, password: string) =>
  `esdb://${user}:${password}@127.0.0.1:${standIn.port}?tlsCAFile=${encodeURIComponent(secured.caFile)}`
const as = (user: string, password: string) => parseAddress(urlOf(user, password))

beforeAll(() => {
  secured = certificates(folder)
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(async () => {
  const users = { admin: { password: 'changeit', groups: ['$admins'] } }
  standIn = await new StandIn({ users, tls: secured.tls }).start()
})
afterEach(() => standIn.dispose())

const settings = (data: string) => {
  const event = { id: crypto.randomUUID(), type: 'update-default-acl', contentType: 'application/json' }
  standIn.database.append('$settings', 'any', [
    { ...event, data: Buffer.from(data), metadata: new Uint8Array() },
  ])
}

test('the users and the default ACL are set once, and a second run changes the passwords alone', async () => {
  expect(await initEventStore(as('admin', 'changeit'), { app: 'a1', audit: 'b1' })).toEqual([
    { step: 'default ACL', outcome: 'set' },
    { step: 'user', name: 'ledger-app', outcome: 'created' },
    { step: 'user', name: 'ledger-audit', outcome: 'created' },
  ])
  expect(await initEventStore(as('admin', 'changeit'), { app: 'a2', audit: 'b1' })).toEqual([
    { step: 'default ACL', outcome: 'already there' },
    { step: 'user', name: 'ledger-app', outcome: 'password set' },
    { step: 'user', name: 'ledger-audit', outcome: 'already there' },
  ])
  expect(standIn.database.events('$settings')).toHaveLength(1)
  expect(standIn.access.users?.get('ledger-app')?.password).toBe('a2')
})

test('afterwards the app writes and reads, the auditor reads, and neither can delete or truncate', async () => {
  await initEventStore(as('admin', 'changeit'), { app: 'a', audit: 'b' })
  const entries = entriesFrom(undefined, 3)
  const app = new EventStoreDbEventStore(urlOf('ledger-app', 'a'), { stream: 's', node: 'n1' })
  const audit = new EventStoreDbEventStore(urlOf('ledger-audit', 'b'), { stream: 's' })
  await app.append(entries, 0)
  expect(textsOf(await audit.read(0, 10))).toEqual(textsOf(entries))
  await expect(audit.append(entriesFrom(entries[2], 1), 3)).rejects.toMatchObject({ code: 'refused' })
  await Promise.all([app.close(), audit.close()])

  expect(await auditPermissions(as('ledger-app', 'a'), 's')).toEqual({ powers: [], ownAcl: [] })
  expect(await auditPermissions(as('ledger-audit', 'b'), 's')).toEqual({ powers: [], ownAcl: [] })
})

test('before it, any user can do both, and asking leaves no trace', async () => {
  standIn.access.users?.set('someone', { password: 'p', groups: [] })
  expect(await auditPermissions(as('someone', 'p'), 's')).toEqual({
    powers: ['delete streams', 'write stream metadata'],
    ownAcl: [],
  })
  expect(standIn.database.log).toEqual([])
})

test('an insecure node has no rights to check: everyone can do both', async () => {
  const insecure = await new StandIn().start()
  expect(await auditPermissions(parseAddress(insecure.url), 's')).toEqual({
    powers: ['delete streams', 'write stream metadata'],
    ownAcl: [],
  })
  await insecure.dispose()
})

const acls: [string, object, string[]][] = [
  ['the app user', { $d: ['ledger-app'] }, ['$d to ledger-app']],
  ['everybody', { $d: '$all' }, ['$d to $all']],
  ['somebody else', { $mw: ['$admins', 'somebody'] }, ['$mw to somebody']],
  ['operators', { $d: '$ops', $mw: ['$ops', 'somebody'] }, ['$d to $ops', '$mw to $ops', '$mw to somebody']],
  ['who knows', { $d: null, $mw: [7] }, ['$d to null', '$mw to 7']],
  ['administrators only', { $r: ['mirror', 'ledger-app'], $d: [], $mw: '$admins' }, []],
]
test.each(acls)(
  "the stream's own ACL, which no probe of another stream shows, gives rights to %s",
  async (_who, $acl, ownAcl) => {
    await initEventStore(as('admin', 'changeit'), { app: 'a', audit: 'b' })
    setMetadata(standIn.database, 's', { $acl })
    expect(await auditPermissions(as('ledger-app', 'a'), 's')).toEqual({ powers: [], ownAcl })
  },
)

test('metadata that hides entries, or will, is an error before any right is asked about', async () => {
  setMetadata(standIn.database, 's', { $maxAge: 1e9 })
  const calls = standIn.calls.length
  await expect(auditPermissions(as('admin', 'changeit'), 's')).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringContaining('its metadata says $maxAge 1000000000'),
  })
  expect(standIn.calls.slice(calls)).not.toContain('append')
})

test('a wrong password is an error, not a lack of power', async () => {
  await expect(auditPermissions(as('admin', 'wrong'), 's')).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringContaining('EventStoreDB does not know this user and password: '),
  })
})

describe('of several nodes, none of which the client finds, a mistake in TLS is reported as one', () => {
  const ask = (caFile = secured.caFile, ports = [standIn.port, standIn.port]) => {
    const hosts = ports.map((port) => `127.0.0.1:${port}`).join()
    const options = `tlsCAFile=${encodeURIComponent(caFile)}&maxDiscoverAttempts=1`
    return auditPermissions(parseAddress(`esdb://admin:changeit@${hosts}?${options}`), 's')
  }
  const restartedWith = async (options: StandInOptions) => {
    await standIn.dispose()
    standIn = await new StandIn(options).start(standIn.port)
  }
  const refusal = (said: RegExp) => ({ code: 'refused', message: expect.stringMatching(said) })

  test('another CA', async () => {
    const other = certificates(mkdtempSync(join(folder, 'other-')))
    await expect(ask(other.caFile)).rejects.toMatchObject(
      refusal(/^TLS to EventStoreDB fails: 127\.0\.0\.1:\d+: .*certificate.*tlsCAFile/),
    )
  })

  test('another name', async () => {
    await restartedWith({ tls: nodeCertificate(folder, { name: 'DNS:node1' }) })
    await expect(ask()).rejects.toMatchObject(refusal(/127\.0\.0\.1:\d+: .*altnames.*tlsCAFile/s))
  })

  test('a certificate that has expired, at the second of two nodes', async () => {
    await restartedWith({ tls: nodeCertificate(folder, { days: -1 }) })
    await expect(ask(secured.caFile, [9, standIn.port])).rejects.toMatchObject(
      refusal(new RegExp(`127\\.0\\.0\\.1:${standIn.port}: certificate has expired`)),
    )
  })

  test('a node without TLS', async () => {
    await restartedWith({})
    await expect(ask()).rejects.toMatchObject(refusal(/127\.0\.0\.1:\d+: .*does that node speak TLS\?/s))
  })

  test('but a node that is down, or says nothing, is not', async () => {
    const callers = new Set<Socket>()
    const silent = createServer((socket) => callers.add(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    try {
      const { port } = silent.address() as AddressInfo
      await expect(ask(secured.caFile, [9, port])).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('Failed to discover'),
      })
    } finally {
      silent.close()
      for (const socket of callers) socket.destroy()
    }
  })
})

test('only an administrator can set it up', async () => {
  standIn.access.users?.set('someone', { password: 'p', groups: [] })
  await expect(initEventStore(as('someone', 'p'), { app: 'a', audit: 'b' })).rejects.toMatchObject({
    code: 'refused',
  })
  expect([...(standIn.access.users?.keys() ?? [])]).toEqual(['admin', 'someone'])
})

test('a default ACL that was opened after it had been set is set again', async () => {
  await initEventStore(as('admin', 'changeit'), { app: 'a', audit: 'b' })
  settings('{"$userStreamAcl":{"$d":"$all","$mw":"$all"}}')
  expect((await auditPermissions(as('ledger-app', 'a'), 's')).powers).toHaveLength(2)
  const [acl] = await initEventStore(as('admin', 'changeit'), { app: 'a', audit: 'b' })
  expect(acl).toEqual({ step: 'default ACL', outcome: 'repaired' })
  expect(await auditPermissions(as('ledger-app', 'a'), 's')).toEqual({ powers: [], ownAcl: [] })
})

test('a database with another default ACL is left alone', async () => {
  settings('{"$userStreamAcl":{"$r":"$all"}}')
  await expect(initEventStore(as('admin', 'changeit'), { app: 'a', audit: 'b' })).rejects.toMatchObject({
    code: 'refused',
  })
  expect([...(standIn.access.users?.keys() ?? [])]).toEqual(['admin'])
})
