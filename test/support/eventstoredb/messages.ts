// Between the stand-in's values and the protobuf messages. The message classes are the ones inside the client's
// package: any other copy of them fails the client's instanceof checks.

import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb.js'
import type { AppendReq, AppendResp, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'

import type { Decision } from './access.js'
import type { Expected, Proposed, Recorded, Verdict } from './database.js'

export function failure(code: status, details: string, trailers: Record<string, string> = {}): ServiceError {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value)
  return Object.assign(new Error(details), { code, details, metadata })
}

export function refusal(decision: Decision): ServiceError | undefined {
  switch (decision) {
    case 'granted':
      return undefined
    case 'unauthenticated':
      return failure(status.UNAUTHENTICATED, 'Unauthenticated')
    case 'denied':
      return failure(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' })
  }
}

export const streamDeleted = (stream: string) =>
  failure(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, {
    exception: 'stream-deleted',
    'stream-name': stream,
  })
export const notLeader = (leader: { host: string; port: number }) =>
  failure(status.NOT_FOUND, 'Leader info available', {
    exception: 'not-leader',
    'leader-endpoint-host': leader.host,
    'leader-endpoint-port': String(leader.port),
  })

export const wrongExpectedVersion = (stream: string, expected: string, head: number) =>
  failure(status.FAILED_PRECONDITION, 'Append failed due to WrongExpectedVersion.', {
    exception: 'wrong-expected-version',
    'stream-name': stream,
    'expected-version': expected,
    'actual-version': String(head),
  })

export const streamName = (identifier: StreamIdentifier | undefined): string =>
  Buffer.from(identifier?.getStreamName_asU8() ?? []).toString()

function streamIdentifier(stream: string): StreamIdentifier {
  return new shared.StreamIdentifier().setStreamName(Buffer.from(stream).toString('base64'))
}

export const uuid = (text: string): UUID => new shared.UUID().setString(text)

export function expectedRevision(options: AppendReq.Options): Expected {
  if (options.hasNoStream()) return 'no_stream'
  if (options.hasAny()) return 'any'
  if (options.hasStreamExists()) return 'stream_exists'
  return BigInt(options.getRevision())
}

export function proposed(message: AppendReq.ProposedMessage): Proposed {
  const headers = message.getMetadataMap()
  return {
    id: message.getId()?.getString() ?? '',
    type: headers.get('type') ?? '',
    contentType: headers.get('content-type') ?? '',
    data: message.getData_asU8(),
    metadata: message.getCustomMetadata_asU8(),
  }
}

/** What Append answers; a wrong version is an ordinary answer, the other refusals are gRPC errors. */
export function appendAnswer(
  stream: string,
  verdict: Verdict,
  maxAppendBytes: number,
): AppendResp | ServiceError {
  if (verdict.ok) return new streams.AppendResp().setSuccess(success(verdict.revision, verdict.position))
  switch (verdict.why) {
    case 'wrong-version':
      return new streams.AppendResp().setWrongExpectedVersion(wrongVersion(verdict.current, verdict.expected))
    case 'uncommitted':
      return failure(status.ABORTED, 'Operation timed out')
    case 'deleted':
      return streamDeleted(stream)
    case 'too-large':
      return failure(status.INVALID_ARGUMENT, 'Maximum Append Size Exceeded.', {
        exception: 'maximum-append-size-exceeded',
        'maximum-append-size': String(maxAppendBytes),
      })
  }
}

function success(revision: number, position: number | undefined): AppendResp.Success {
  const message = new streams.AppendResp.Success().setCurrentRevision(String(revision))
  if (position === undefined) return message.setNoPosition(new shared.Empty())
  const at = new streams.AppendResp.Position()
  at.setCommitPosition(String(position))
  at.setPreparePosition(String(position))
  return message.setPosition(at)
}

function wrongVersion(current: number, expected: Expected): AppendResp.WrongExpectedVersion {
  const message = new streams.AppendResp.WrongExpectedVersion()
  if (current < 0) message.setCurrentNoStream(new shared.Empty())
  else message.setCurrentRevision(String(current))
  switch (expected) {
    case 'no_stream':
      return message.setExpectedNoStream(new shared.Empty())
    case 'any':
      return message.setExpectedAny(new shared.Empty())
    case 'stream_exists':
      return message.setExpectedStreamExists(new shared.Empty())
    default:
      return message.setExpectedRevision(String(expected))
  }
}

function readEvent(event: Recorded, revision: string | number = event.revision): ReadResp {
  const recorded = new streams.ReadResp.ReadEvent.RecordedEvent()
  recorded.setId(uuid(event.id))
  recorded.setStreamIdentifier(streamIdentifier(event.stream))
  recorded.setStreamRevision(String(revision))
  recorded.setCommitPosition(String(event.position))
  recorded.setPreparePosition(String(event.position))
  recorded
    .getMetadataMap()
    .set('type', event.type)
    .set('content-type', event.contentType)
    .set('created', event.ticks)
  recorded.setData(event.data)
  recorded.setCustomMetadata(event.metadata)
  const read = new streams.ReadResp.ReadEvent().setEvent(recorded)
  read.setCommitPosition(String(event.position))
  return new streams.ReadResp().setEvent(read)
}

/** The message of an event as bytes, made once for all who read it. */
export function readEventBytes(event: Recorded): Buffer {
  return (event.message ??= Buffer.from(readEvent(event).serializeBinary()))
}

/** What a live subscription gets when its stream is tombstoned. */
export function tombstoneEvent(stream: string): ReadResp {
  const empty = new Uint8Array()
  return readEvent(
    {
      id: crypto.randomUUID(),
      type: '$streamDeleted',
      contentType: 'application/octet-stream',
      data: empty,
      metadata: empty,
      stream,
      revision: 0,
      position: 0,
      ticks: '0',
    },
    '9223372036854775807',
  )
}

export function streamNotFound(stream: string): ReadResp {
  const missing = new streams.ReadResp.StreamNotFound().setStreamIdentifier(streamIdentifier(stream))
  return new streams.ReadResp().setStreamNotFound(missing)
}

export function confirmation(): ReadResp {
  const message = new streams.ReadResp.SubscriptionConfirmation()
  message.setSubscriptionId(crypto.randomUUID())
  return new streams.ReadResp().setConfirmation(message)
}

export function caughtUp(): ReadResp {
  return new streams.ReadResp().setCaughtUp(new streams.ReadResp.CaughtUp())
}
