// A live subscription to a stream, in the messages of the server's Streams service, whose stubs the client ships.
//
// The client's own subscribeToStream makes three more objects of each event and passes it through a second stream: a
// third of what following an entry costs, and every broker follows every entry (docs/scaling.md).

import { convertToCommandError } from '@eventstore/db-client'
import sharedPb from '@eventstore/db-client/generated/shared_pb.js'
import { StreamsClient, StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streamsPb from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'

import type { Connection, ServerStream } from './connection.js'
import type { FoundEvent } from './event.js'
import { type ReadMessage, readMessage } from './read-message.js'

/** Every event of the stream from revision `from` on, as it is written; never ends by itself. Opened at `connection`. */
export async function subscribe(connection: Connection, name: string, from: number): Promise<Subscription> {
  const { client, credentials } = connection
  const request = subscriptionTo(name, from)
  const { path, requestSerialize } = StreamsService.read
  const messages = await client.openStream(StreamsClient, 'subscribe', { credentials }, (streams, ...call) =>
    streams.makeServerStreamRequest(path, requestSerialize, readMessage, request, ...call),
  )
  return new Subscription(connection.open(messages))
}

export class Subscription {
  constructor(readonly messages: ServerStream) {}

  onEvent(take: (event: FoundEvent) => void): void {
    this.messages.on('data', ({ event }: ReadMessage) => {
      if (event) take(event)
    })
  }

  /** Called with the failure, or undefined when it was released or the server ended it. The first call counts. */
  onEnd(ended: (error: Error | undefined) => void): void {
    this.messages.on('error', (error: Error) => ended(convertToCommandError(error)))
    this.messages.on('close', () => ended(undefined))
  }
}

function subscriptionTo(name: string, from: number): ReadReq {
  const identifier = new sharedPb.StreamIdentifier().setStreamName(Buffer.from(name).toString('base64'))
  const stream = new streamsPb.ReadReq.Options.StreamOptions().setStreamIdentifier(identifier)
  // Exclusive: the first event is the one after.
  if (from === 0) stream.setStart(new sharedPb.Empty())
  else stream.setRevision(String(from - 1))
  const options = new streamsPb.ReadReq.Options().setStream(stream)
  options.setSubscription(new streamsPb.ReadReq.Options.SubscriptionOptions())
  options.setUuidOption(new streamsPb.ReadReq.Options.UUIDOption().setString(new sharedPb.Empty()))
  options.setNoFilter(new sharedPb.Empty())
  return new streamsPb.ReadReq().setOptions(options)
}
