// The stand-in against what was seen with real EventStoreDB nodes, through the real client.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import {
  AccessDeniedError,
  BACKWARDS,
  END,
  EventStoreDBClient,
  type ExpectedRevision,
  jsonEvent,
  MaxAppendSizeExceededError,
  NO_STREAM,
  StreamDeletedError,
  type StreamMetadata,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import grpc from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { ChannelCredentials } from '@grpc/grpc-js'

import { certificates } from './certificates.js'
import { Database } from './database.js'
import { StandIn } from './stand-in.js'

const folder = mkdtempSync(join(tmpdir(), 'stand-in-'))
const cleanup: (() => unknown)[] = []
let client: EventStoreDBClient
let standIn: StandIn
const anyone = { username: 'any', password: 'any' }

afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step()
})
afterAll(() => rmSync(folder, { recursive: true }))

async function started(node: StandIn): Promise<StandIn> {
  cleanup.push(() => node.dispose())
  return node.start()
}

function connected(url: string): EventStoreDBClient {
  const connection = EventStoreDBClient.connectionString(url)
  cleanup.push(() => connection.dispose())
  return connection
}

const event = (n: number, id: string = crypto.randomUUID()) => jsonEvent({ id, type: 'Entry', data: { n } })
const append = (n: number, expectedRevision: ExpectedRevision, id?: string) =>
  client.appendToStream('s', event(n, id), { expectedRevision, credentials: anyone })

async function revisions(options = {}, stream = 's'): Promise<number[]> {
  const found: number[] = []
  for await (const read of client.readStream(stream, options)) found.push(Number(read.event?.revision))
  return found
}

describe('expected revisions', () => {
  beforeEach(async () => {
    standIn = await started(new StandIn())
    client = connected(standIn.url)
  })

  test('only ids are compared when an append is repeated', async () => {
    const id = crypto.randomUUID()
    const first = await append(0, NO_STREAM, id)
    expect(await append(999, NO_STREAM, id)).toEqual(first)
    await expect(append(1, NO_STREAM)).rejects.toBeInstanceOf(WrongExpectedVersionError)
    await expect(append(1, 5n)).rejects.toBeInstanceOf(WrongExpectedVersionError)
    expect(standIn.database.events('s')).toHaveLength(1)
  })

  test('an append that its caller gives up half-way is ended before it is cancelled: a part of it may be applied', async () => {
    const raw = new grpc.StreamsClient(`127.0.0.1:${standIn.port}`, ChannelCredentials.createInsecure())
    cleanup.push(() => raw.close())
    const stream = new shared.StreamIdentifier().setStreamName(Buffer.from('s'))
    const options = new streams.AppendReq.Options()
      .setStreamIdentifier(stream)
      .setNoStream(new shared.Empty())
    const id = new shared.UUID().setString(crypto.randomUUID())
    const proposed = new streams.AppendReq.ProposedMessage().setId(id).setData(Buffer.from('{}'))
    for (let givenUpAfterMs = 1; standIn.database.events('s').length === 0; givenUpAfterMs += 1) {
      const call = raw.append(() => undefined)
      call.on('error', () => undefined)
      call.write(new streams.AppendReq().setOptions(options))
      call.write(new streams.AppendReq().setProposedMessage(proposed))
      await pause(givenUpAfterMs)
      // Never ended by us: there was to be more.
      call.cancel()
    }
  })

  test('parallel appends to one stream are applied in any order', async () => {
    const delays = [2_000, 0]
    standIn.applyDelayMs = () => delays.shift() ?? 0
    const both = [append(0, NO_STREAM), append(1, 0n)]
    const outcomes = await Promise.allSettled(both)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  test('a client that gives no credentials would use BatchAppend, and is caught', async () => {
    await expect(client.appendToStream('s', event(0))).rejects.toThrow(
      'the ledger must be written with Append',
    )
    expect(standIn.calls).toEqual(['features', 'batchAppend'])
  })

  test('a mebibyte of data is let in, one byte more is not, and metadata is free', async () => {
    const data = (bytes: number) => ({ x: 'x'.repeat(bytes - '{"x":""}'.length) })
    const metadata = { y: 'y'.repeat(10_000) }
    const send = (bytes: number) =>
      client.appendToStream('s', jsonEvent({ type: 't', data: data(bytes), metadata }), {
        credentials: anyone,
      })
    await expect(send(1_048_577)).rejects.toBeInstanceOf(MaxAppendSizeExceededError)
    expect((await send(1_048_576)).success).toBe(true)
  })
})

describe('deletion and truncation', () => {
  const ids = [0, 1, 2, 3].map(() => crypto.randomUUID())
  beforeEach(async () => {
    standIn = await started(new StandIn())
    client = connected(standIn.url)
    for (const [n, id] of ids.entries()) await append(n, n === 0 ? NO_STREAM : BigInt(n - 1), id)
  })
  const set = (metadata: StreamMetadata) => client.setStreamMetadata('s', metadata, { credentials: anyone })

  test('truncateBefore hides the start from reads in both directions', async () => {
    await set({ truncateBefore: 2 })
    expect(await revisions()).toEqual([2, 3])
    expect(await revisions({ direction: BACKWARDS, fromRevision: END })).toEqual([3, 2])
    expect(await client.getStreamMetadata('s')).toMatchObject({ metadata: { truncateBefore: 2 } })
  })

  test('maxCount hides all but the newest, and setting it drops the metadata from before', async () => {
    await set({ truncateBefore: 2 })
    await set({ maxCount: 3 })
    expect(await revisions()).toEqual([1, 2, 3])
  })

  test('when all is hidden reads are empty, and NO_STREAM fails with the true head', async () => {
    await set({ truncateBefore: 100 })
    expect(await revisions()).toEqual([])
    await expect(append(9, NO_STREAM)).rejects.toMatchObject({ actualVersion: 3n })
  })

  test('a repeat of hidden events succeeds without a position', async () => {
    await set({ truncateBefore: 4 })
    expect(await append(3, 2n, ids[3])).toEqual({
      success: true,
      nextExpectedRevision: 3n,
      position: undefined,
    })
  })

  test('a soft-deleted stream is not found, and begins again after its old head', async () => {
    await client.deleteStream('s', { credentials: anyone })
    await expect(revisions()).rejects.toBeInstanceOf(StreamNotFoundError)
    expect((await append(0, NO_STREAM, ids[0])).position).toBeUndefined()
    expect((await append(9, NO_STREAM)).nextExpectedRevision).toBe(4n)
    expect(await revisions()).toEqual([4])
  })

  test('a tombstoned stream is gone for good', async () => {
    await client.tombstoneStream('s', { credentials: anyone })
    await expect(revisions()).rejects.toBeInstanceOf(StreamDeletedError)
    await expect(append(9, NO_STREAM)).rejects.toBeInstanceOf(StreamDeletedError)
  })

  test('a live subscription notices a tombstone, and neither truncation nor soft deletion', async () => {
    const seen: string[] = []
    const subscription = client.subscribeToStream('s', { fromRevision: 2n })
    const ended = (async () => {
      for await (const { event: found } of subscription) seen.push(found?.type ?? '')
    })()
    ended.catch(() => undefined)
    await set({ maxCount: 1 })
    await client.deleteStream('s', { credentials: anyone })
    await append(4, 3n)
    await client.tombstoneStream('s', { credentials: anyone })
    await expect(ended).rejects.toBeInstanceOf(StreamDeletedError)
    expect(seen).toEqual(['Entry', 'Entry', '$streamDeleted'])
  })
})

test('what was written is there after a restart, tombstones too', async () => {
  const file = join(folder, 'restart.jsonl')
  standIn = await started(new StandIn({ database: new Database(file) }))
  client = connected(standIn.url)
  await append(0, NO_STREAM)
  await client.tombstoneStream('gone', { credentials: anyone })
  const again = new Database(file)
  expect(again.events('s').map(({ id }) => id)).toEqual(standIn.database.events('s').map(({ id }) => id))
  expect(Buffer.from(again.events('s')[0]?.data ?? []).toString()).toBe('{"n":0}')
  expect(again.isTombstoned('gone')).toBe(true)
})

describe('users and their rights', () => {
  let tls: ReturnType<typeof certificates>
  beforeAll(() => {
    tls = certificates(folder)
  })
  beforeEach(async () => {
    const users = {
      admin: { password: 'changeit', groups: ['$admins'] },
      app: { password: 'p', groups: [] },
    }
    standIn = await started(new StandIn({ users, tls: tls.tls }))
    client = connected(`${standIn.url}&tlsCAFile=${encodeURIComponent(tls.caFile)}`)
  })
  const admin = { username: 'admin', password: 'changeit' }
  const app = { username: 'app', password: 'p' }
  const write = (credentials: typeof app) =>
    client.appendToStream('s', event(0), { credentials, expectedRevision: NO_STREAM })

  test('a wrong password is code 16, a missing right code 7', async () => {
    await expect(write({ ...app, password: 'wrong' })).rejects.toMatchObject({ code: 16 })
    await client.setStreamMetadata('s', { acl: { writeRoles: [] } }, { credentials: admin })
    await expect(write(app)).rejects.toMatchObject({ code: 7 })
    expect((await write(admin)).success).toBe(true)
  })

  test('by default any user may delete: only an ACL stops it', async () => {
    await write(app)
    const acl = { $d: '$admins', $mw: '$admins', $r: 'app', $w: 'app', $mr: 'app' }
    const settings = jsonEvent({ type: 'update-default-acl', data: { $userStreamAcl: acl } })
    await expect(client.appendToStream('$settings', settings, { credentials: app })).rejects.toBeInstanceOf(
      AccessDeniedError,
    )
    await client.appendToStream('$settings', settings, { credentials: admin })
    for (const forbidden of [
      client.deleteStream('s', { credentials: app }),
      client.tombstoneStream('s', { credentials: app }),
      client.setStreamMetadata('s', { maxCount: 1 }, { credentials: app }),
    ])
      await expect(forbidden).rejects.toBeInstanceOf(AccessDeniedError)
    expect(await revisions({ credentials: app })).toEqual([0])
    expect(await client.getStreamMetadata('s', { credentials: app })).toEqual({ streamName: 's' })
  })
})
