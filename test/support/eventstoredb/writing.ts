// The stand-in's Append, Delete and Tombstone calls.

import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { IStreamsServer } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import type {
  AppendReq,
  AppendResp,
  DeleteResp,
  TombstoneResp,
} from '@eventstore/db-client/generated/streams_pb.js'
import { type sendUnaryData, type ServerReadableStream, type ServiceError, status } from '@grpc/grpc-js'

import type { Proposed } from './database.js'
import type { AppendFault } from './faults.js'
import * as wire from './messages.js'
import { authorization, type Node, redirected } from './node.js'

type AppendCall = ServerReadableStream<AppendReq, AppendResp>
type Answer = AppendResp | ServiceError | 'no-answer' | 'end-quietly'

export function appendCall(node: Node): IStreamsServer['append'] {
  return (call, callback) => {
    node.calls.push('append')
    const fault = node.appends.take()
    let options: AppendReq.Options | undefined
    const events: Proposed[] = []
    call.on('data', (request: AppendReq) => {
      const message = request.getProposedMessage()
      if (message) events.push(wire.proposed(message))
      else options = request.getOptions()
      if (message && fault === 'reset') node.cutConnections()
    })
    call.on('end', () => {
      if (!options || fault === 'reset') return
      void append(node, call, { options, events, fault }).then((answer) => reply(call, callback, answer))
    })
    call.on('error', () => undefined)
  }
}

async function append(
  node: Node,
  call: AppendCall,
  {
    options,
    events,
    fault,
  }: { options: AppendReq.Options; events: Proposed[]; fault: AppendFault | undefined },
): Promise<Answer> {
  const stream = wire.streamName(options.getStreamIdentifier())
  const refusal = wire.refusal(node.access.decide(authorization(call), stream, '$w'))
  if (refusal) return refusal
  const elsewhere = redirected(node, call)
  if (elsewhere) return elsewhere
  const before = fault && answerInstead(fault)
  if (before) return before

  // Appends that are under way together are applied in any order: only one at a time keeps its place.
  await pause(node.applyDelayMs())
  const written = fault === 'commit-half-then-time-out' ? events.slice(0, events.length / 2) : events
  const expected = wire.expectedRevision(options)
  let verdict = node.database.append(stream, expected, written)
  if (!verdict.ok && verdict.why === 'uncommitted') {
    await node.database.commits.settled()
    // Success without writing where it was committed. Where it was taken back, no one may write it by asking.
    verdict = node.database.replayed(stream, expected, written)
    if (!verdict.ok) return wire.failure(status.ABORTED, 'Operation timed out')
  }
  if (fault === 'commit-then-time-out' || fault === 'commit-half-then-time-out')
    return wire.failure(status.ABORTED, 'Operation timed out')
  if (fault === 'commit-then-lose-the-reply') {
    node.cutConnections()
    return 'no-answer'
  }
  if (fault === 'commit-then-swallow') return 'no-answer'
  if (fault === 'commit-then-end-quietly') return 'end-quietly'
  if (fault === 'commit-then-say-nothing') return new streams.AppendResp()
  return wire.appendAnswer(stream, verdict, node.database.maxAppendBytes)
}

/** The faults that keep the append from being applied. */
function answerInstead(fault: AppendFault): Answer | undefined {
  switch (fault) {
    case 'swallow':
      return 'no-answer'
    case 'end-quietly':
      return 'end-quietly'
    case 'busy':
      return wire.failure(status.UNAVAILABLE, 'Server Is Too Busy')
    case 'not-ready':
      return wire.failure(status.UNAVAILABLE, 'Server Is Not Ready')
    case 'no-leader-info':
      return wire.failure(status.UNKNOWN, 'No leader info available in response')
    case 'unavailable':
      return wire.failure(status.UNAVAILABLE, 'upstream connect error')
    case 'internal':
      return wire.failure(status.INTERNAL, 'Received RST_STREAM with code 2')
    case 'reset':
    case 'commit-then-lose-the-reply':
    case 'commit-then-time-out':
    case 'commit-half-then-time-out':
    case 'commit-then-end-quietly':
    case 'commit-then-say-nothing':
    case 'commit-then-swallow':
      return undefined
  }
}

function reply(call: AppendCall, callback: sendUnaryData<AppendResp>, answer: Answer): void {
  if (answer === 'no-answer') return
  // gRPC's own server never ends a call of this kind without a message; its stream can.
  if (answer === 'end-quietly') return void (call as unknown as Writable).end()
  if (answer instanceof Error) callback(answer)
  else callback(null, answer)
}

export function deleteCall(node: Node): IStreamsServer['delete'] {
  return (call, callback) => {
    const stream = wire.streamName(call.request.getOptions()?.getStreamIdentifier())
    const refusal = refusalToDelete(node, authorization(call), stream)
    if (refusal) return callback(refusal)
    const options = call.request.getOptions()
    const head = node.database.events(stream).length - 1
    if (options?.hasRevision() && Number(options.getRevision()) !== head)
      return callback(wire.wrongExpectedVersion(stream, options.getRevision(), head))
    node.database.softDelete(stream)
    callback(null, new streams.DeleteResp().setNoPosition(new shared.Empty()) satisfies DeleteResp)
  }
}

export function tombstoneCall(node: Node): IStreamsServer['tombstone'] {
  return (call, callback) => {
    const stream = wire.streamName(call.request.getOptions()?.getStreamIdentifier())
    const refusal = refusalToDelete(node, authorization(call), stream)
    if (refusal) return callback(refusal)
    node.database.tombstone(stream)
    callback(null, new streams.TombstoneResp().setNoPosition(new shared.Empty()) satisfies TombstoneResp)
  }
}

function refusalToDelete(node: Node, from: string | undefined, stream: string): ServiceError | undefined {
  const refusal = wire.refusal(node.access.decide(from, stream, '$d'))
  if (refusal) return refusal
  return node.database.isTombstoned(stream) ? wire.streamDeleted(stream) : undefined
}
