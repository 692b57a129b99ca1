import { describe, expect, test } from '@jest/globals'

import sharedPb from '@eventstore/db-client/generated/shared_pb.js'
import streamsPb from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js'

import { readMessage } from './read-message.js'

const ID = '6d39ab63-b53e-8872-a17f-1add00000000'
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

/** Written by the classes the client ships, with every field a server fills in. */
function recorded(
  data: Uint8Array,
  {
    contentType = 'application/json',
    metadata = json({ by: 'n1', upTo: 7 }),
    revision = '7',
  }: { contentType?: string; metadata?: Uint8Array; revision?: string } = {},
): ReadResp.ReadEvent.RecordedEvent {
  const event = new streamsPb.ReadResp.ReadEvent.RecordedEvent()
  event.setId(new sharedPb.UUID().setString(ID))
  event.setStreamIdentifier(
    new sharedPb.StreamIdentifier().setStreamName(Buffer.from('s').toString('base64')),
  )
  event.setStreamRevision(revision).setPreparePosition('12345678901').setCommitPosition('12345678901')
  event.getMetadataMap().set('type', 'JwtIssued').set('content-type', contentType).set('created', '17952')
  return event.setCustomMetadata(metadata).setData(data)
}

const bytesOf = (message: ReadResp) => Buffer.from(message.serializeBinary())

function asMessage(event: ReadResp.ReadEvent.RecordedEvent): Buffer {
  const read = new streamsPb.ReadResp.ReadEvent().setEvent(event).setCommitPosition('12345678901')
  return bytesOf(new streamsPb.ReadResp().setEvent(read))
}

describe('an event', () => {
  test('has its id, revision, type, data and metadata', () => {
    const data = { sub: 'agentkeys:agent:0x1', text: 'größer 🗝' }
    expect(readMessage(asMessage(recorded(json(data)))).event).toEqual({
      ...{ id: ID, revision: 7n, type: 'JwtIssued', isJson: true },
      ...{ data, metadata: { by: 'n1', upTo: 7 } },
    })
  })

  test.each(['0', '9007199254740993', '18446744073709551615'])('may have the revision %s', (revision) => {
    expect(readMessage(asMessage(recorded(json({}), { revision }))).event?.revision).toBe(BigInt(revision))
  })

  test('that is marked as JSON and is none keeps its text', () => {
    const { event } = readMessage(asMessage(recorded(Buffer.from('{"half":'))))
    expect([event?.isJson, event?.data]).toEqual([true, '{"half":'])
  })

  test('that is not marked as JSON keeps its bytes', () => {
    const { event } = readMessage(
      asMessage(recorded(json({ a: 1 }), { contentType: 'application/octet-stream' })),
    )
    expect(event?.isJson).toBe(false)
    expect(Buffer.from(event?.data as Uint8Array)).toEqual(json({ a: 1 }))
  })

  test('may have no metadata and no data', () => {
    const { event } = readMessage(asMessage(recorded(new Uint8Array(), { metadata: new Uint8Array() })))
    expect([event?.data, event?.metadata]).toEqual(['', undefined])
  })

  test('is not what it links to', () => {
    const read = new streamsPb.ReadResp.ReadEvent().setLink(recorded(json({ link: true })))
    expect(readMessage(bytesOf(new streamsPb.ReadResp().setEvent(read))).event).toBeUndefined()
    read.setEvent(recorded(json({ link: false })))
    expect(readMessage(bytesOf(new streamsPb.ReadResp().setEvent(read))).event?.data).toEqual({ link: false })
  })
})

test('what the server says of the subscription itself has no event', () => {
  const confirmed = new streamsPb.ReadResp.SubscriptionConfirmation().setSubscriptionId('s1')
  const messages = [
    new streamsPb.ReadResp().setConfirmation(confirmed),
    new streamsPb.ReadResp().setCaughtUp(new streamsPb.ReadResp.CaughtUp()),
    new streamsPb.ReadResp().setLastStreamPosition('7'),
    new streamsPb.ReadResp(),
  ]
  for (const message of messages) expect(readMessage(bytesOf(message)).event).toBeUndefined()
})

test('fields of a later server are passed over, of every wire type', () => {
  const later = [
    [(20 << 3) | 0, 1, 0x96, 0x01],
    [(21 << 3) | 1, 1, 1, 2, 3, 4, 5, 6, 7, 8],
    [(22 << 3) | 2, 1, 2, 0xff, 0xff],
    [(23 << 3) | 5, 1, 1, 2, 3, 4],
  ].map(([tag = 0, high = 0, ...value]) => Buffer.from([(tag & 0x7f) | 0x80, high, ...value]))
  const event = asMessage(recorded(json({ a: 1 })))
  expect(readMessage(Buffer.concat([...later, event, ...later])).event?.data).toEqual({ a: 1 })
})

test('bytes that end too soon are refused, wherever they end', () => {
  const whole = asMessage(recorded(json({ a: 1 })))
  for (let length = 1; length < whole.length; length += 1)
    expect(() => readMessage(whole.subarray(0, length))).toThrow()
})
