// One Append call, in the messages of the server's Streams service, whose stubs the client ships.
//
// The client's own appendToStream takes an event's data as an object alone, and carries its JSON through base64 and back;
// and it waits for a promise after each message: a third of what an append costs this end (docs/scaling.md).

import { convertToCommandError, WrongExpectedVersionError } from '@eventstore/db-client'
import sharedPb from '@eventstore/db-client/generated/shared_pb.js'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streamsPb from '@eventstore/db-client/generated/streams_pb.js'
import type { AppendReq, AppendResp } from '@eventstore/db-client/generated/streams_pb.js'

import type { NewEvent } from './event.js'
import type { LedgerStream } from './stream.js'

export interface Appended {
  /** Of the stream's last event, after the append. */
  revision: bigint
  /** Whether the server says where in its log the events are. It does not where they are hidden. */
  positioned: boolean
}

/** At the leader, after `expectedSize` events and no others. Rejects with the client's errors. */
export function callAppend(
  { connection, name }: LedgerStream,
  events: readonly NewEvent[],
  expectedSize: number,
): Promise<Appended> {
  const { credentials } = connection
  return connection.answer((client, deadline) =>
    client.callService(
      StreamsClient,
      'append',
      { credentials, deadline, requiresLeader: true },
      (streams, ...options) =>
        new Promise<Appended>((resolve, reject) => {
          const call = streams.append(...options, (error, response) => {
            if (error) return reject(convertToCommandError(error))
            const conflict = response.getWrongExpectedVersion()
            if (conflict) return reject(wrongExpectedVersion(name, conflict, expectedSize))
            const success = response.getSuccess()
            if (success) return resolve(appended(success))
            // The client itself would wait for ever. What became of the append is unknown.
            reject(new Error('the answer says neither that it was written nor that it was not'))
          })
          call.on('error', reject)
          call.write(header(name, expectedSize))
          for (const event of events) call.write(proposed(event))
          call.end()
        }),
    ),
  )
}

function header(name: string, expectedSize: number): AppendReq {
  const identifier = new sharedPb.StreamIdentifier().setStreamName(Buffer.from(name).toString('base64'))
  const options = new streamsPb.AppendReq.Options().setStreamIdentifier(identifier)
  if (expectedSize === 0) options.setNoStream(new sharedPb.Empty())
  else options.setRevision(String(expectedSize - 1))
  return new streamsPb.AppendReq().setOptions(options)
}

function proposed({ id, type, data, metadata }: NewEvent): AppendReq {
  const message = new streamsPb.AppendReq.ProposedMessage()
  message.setId(new sharedPb.UUID().setString(id))
  message.getMetadataMap().set('type', type).set('content-type', 'application/json')
  message.setData(data).setCustomMetadata(metadata)
  return new streamsPb.AppendReq().setProposedMessage(message)
}

function appended(success: AppendResp.Success): Appended {
  return { revision: BigInt(success.getCurrentRevision()), positioned: success.hasPosition() }
}

function wrongExpectedVersion(
  name: string,
  conflict: AppendResp.WrongExpectedVersion,
  expectedSize: number,
): WrongExpectedVersionError {
  return new WrongExpectedVersionError(null as never, {
    streamName: name,
    current: conflict.hasCurrentRevision() ? BigInt(conflict.getCurrentRevision()) : 'no_stream',
    expected: expectedSize === 0 ? 'no_stream' : BigInt(expectedSize - 1),
  })
}
