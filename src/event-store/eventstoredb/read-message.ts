// A message of the server's Read call, taken from its bytes: `ReadResp` of the server's streams.proto.
//
// The classes the client ships make eight objects of an event, most of them for fields that are not used here, and take
// three times as long (docs/scaling.md); every broker reads every entry.

import { BinaryReader } from '@bufbuild/protobuf/wire'

import type { FoundEvent } from './event.js'

/** What the server says about the subscription itself has no event. */
export interface ReadMessage {
  event: FoundEvent | undefined
}

/** Throws Error where the bytes are no such message. */
export function readMessage(bytes: Uint8Array): ReadMessage {
  const reader = new BinaryReader(bytes)
  const message: ReadMessage = { event: undefined }
  readFields(reader, reader.len, message, responseField)
  return message
}

/** Reads one field into what it belongs to. False: the field is not used here. */
type ReadField<Into> = (into: Into, field: number, reader: BinaryReader) => boolean

const NOTHING = new Uint8Array()

class Recorded {
  id = ''
  revision: bigint | string = 0n
  type = ''
  contentType = ''
  metadata: Uint8Array = NOTHING
  data: Uint8Array = NOTHING
}

const responseField: ReadField<ReadMessage> = (message, field, reader) => {
  if (field === 1) readWithin(reader, message, readEventField)
  return field === 1
}

const readEventField: ReadField<ReadMessage> = (message, field, reader) => {
  if (field !== 1) return false
  const event = new Recorded()
  readWithin(reader, event, recordedField)
  message.event = foundEvent(event)
  return true
}

const recordedField: ReadField<Recorded> = (event, field, reader) => {
  switch (field) {
    case 1:
      readWithin(reader, event, idField)
      return true
    case 3:
      event.revision = reader.uint64()
      return true
    case 6:
      readHeader(event, reader)
      return true
    case 7:
      event.metadata = reader.bytes()
      return true
    case 8:
      event.data = reader.bytes()
      return true
    default:
      return false
  }
}

const idField: ReadField<Recorded> = (event, field, reader) => {
  if (field === 2) event.id = reader.string()
  return field === 2
}

interface Header {
  name: string
  value: string
}

function readHeader(event: Recorded, reader: BinaryReader): void {
  const header: Header = { name: '', value: '' }
  readWithin(reader, header, headerField)
  if (header.name === 'type') event.type = header.value
  if (header.name === 'content-type') event.contentType = header.value
}

const headerField: ReadField<Header> = (header, field, reader) => {
  if (field === 1) header.name = reader.string()
  if (field === 2) header.value = reader.string()
  return field === 1 || field === 2
}

function readWithin<Into>(reader: BinaryReader, into: Into, read: ReadField<Into>): void {
  readFields(reader, reader.uint32(), into, read)
}

function readFields<Into>(reader: BinaryReader, length: number, into: Into, read: ReadField<Into>): void {
  const end = reader.pos + length
  while (reader.pos < end) {
    const [field, wireType] = reader.tag()
    if (!read(into, field, reader)) reader.skip(wireType, field)
  }
}

/** As the client itself reads an event: what is marked as JSON and is none stays text. */
function foundEvent({ id, revision, type, contentType, metadata, data }: Recorded): FoundEvent {
  const isJson = contentType === 'application/json'
  // No spreads where every entry goes through: three in this file cost as much as reading the event did.
  return {
    id,
    revision: BigInt(revision),
    type,
    isJson,
    data: isJson ? parsed(textOf(data)) : data,
    metadata: metadata.length === 0 ? undefined : parsed(textOf(metadata)),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const textOf = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
