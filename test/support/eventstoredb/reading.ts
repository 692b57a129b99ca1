// The stand-in's Read call: reads of a stream or of $all, and subscriptions to a stream.

import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'

import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import { type ServerInterceptingCallInterface, type ServerWritableStream, status } from '@grpc/grpc-js'

import type { Recorded } from './database.js'
import type { ReadFault } from './faults.js'
import * as wire from './messages.js'
import { authorization, type Node, type OpenRead, redirected } from './node.js'

/** How many messages one reader is sent before it is another's turn. */
const BURST = 32

type ReadCall = ServerWritableStream<ReadReq, ReadResp | Buffer>

/** How readCall's answers become bytes: those of events are made already. */
export const responseSerialize = (answer: ReadResp | Buffer): Buffer =>
  Buffer.isBuffer(answer) ? answer : Buffer.from(answer.serializeBinary())

export function readCall(node: Node): (call: ReadCall) => void {
  return (call) => {
    const options = call.request.getOptions() as ReadReq.Options
    const target = options.getStream()
    const stream = target ? wire.streamName(target.getStreamIdentifier()) : '$all'
    const subscription = options.hasSubscription()
    node.calls.push(`${subscription ? 'subscribe' : 'read'} ${stream}`)
    sendTogether(call)
    const reading = new Reading(node, call, stream)

    const refusal = wire.refusal(node.access.decide(authorization(call), stream, '$r'))
    if (refusal) return reading.end(refusal)
    const elsewhere = redirected(node, call)
    if (elsewhere) return reading.end(elsewhere)
    if (node.database.isTombstoned(stream)) return reading.end(wire.streamDeleted(stream))
    const fault = node.reads.take()
    if (fault === 'swallow') return
    if (fault === 'unavailable') return reading.end(wire.failure(status.UNAVAILABLE, 'Connection dropped'))
    if (fault === 'internal') return reading.end(wire.failure(status.INTERNAL, 'RST_STREAM'))
    reading.fault = fault
    void (subscription ? reading.subscribe(options) : reading.read(options))
  }
}

/** What lies there to be sent goes out in one write to the socket, as from a real server: gRPC for Node takes one for each. */
function sendTogether(call: ReadCall): void {
  const { call: within } = call as unknown as { call: ServerInterceptingCallInterface }
  call._writev = (messages, done) => {
    messages.forEach(({ chunk }, i) => {
      within.sendMessage(chunk, i === messages.length - 1 ? () => done() : () => undefined)
    })
  }
}

class Reading implements OpenRead {
  fault: ReadFault | undefined
  private sent = 0
  private readonly gone = new AbortController()

  constructor(
    private readonly node: Node,
    private readonly call: ReadCall,
    readonly stream: string,
  ) {
    node.openReads.add(this)
    call.on('cancelled', () => this.forget())
    call.on('error', () => this.forget())
  }

  end(error?: Error): void {
    if (this.gone.signal.aborted) return
    this.forget()
    if (error) this.call.emit('error', error)
    else this.call.end()
  }

  async read(options: ReadReq.Options): Promise<void> {
    const limit = Number(options.getCount())
    const forwards = (options.getReadDirection() as number) === 0
    const target = options.getStream()
    if (limit === 0 || (forwards && target?.hasEnd()))
      return this.end(wire.failure(status.UNKNOWN, 'Exception was thrown by handler.'))
    if (target && (this.source().length === 0 || this.node.database.isSoftDeleted(this.stream))) {
      this.call.write(wire.streamNotFound(this.stream))
      return this.end()
    }

    const first = target ? this.node.database.firstVisible(this.stream) : 0
    const head = this.source().length - 1
    let at = target?.hasEnd() ? head : target?.hasRevision() ? Number(target.getRevision()) : 0
    at = forwards ? Math.max(at, first) : Math.min(at, head)
    for (let left = limit; left > 0 && at >= first && at <= head; left -= 1) {
      if (!(await this.send(wire.readEventBytes(this.source()[at] as Recorded)))) return
      at += forwards ? 1 : -1
    }
    this.end()
  }

  /** The position a subscription gives is exclusive: the first event delivered is the one after it. */
  async subscribe(options: ReadReq.Options): Promise<void> {
    const target = options.getStream()
    if (!target)
      return this.end(wire.failure(status.UNIMPLEMENTED, 'the stand-in subscribes to streams only'))
    this.call.write(wire.confirmation())
    let next = target.hasEnd()
      ? this.source().length
      : target.hasRevision()
        ? Number(target.getRevision()) + 1
        : 0
    // What is hidden when the subscription starts is skipped. Later truncation and deletion go unnoticed.
    next = Math.max(next, this.node.database.firstVisible(this.stream))

    for (let told = false; !this.gone.signal.aborted;) {
      const refusal = wire.refusal(this.node.access.decide(authorization(this.call), this.stream, '$r'))
      if (refusal && this.node.deniedStaySilent) return
      if (refusal) return this.end(refusal)
      const event = this.node.stopping ? undefined : this.source()[next]
      if (event) {
        next += 1
        if (!(await this.send(wire.readEventBytes(event)))) return
        continue
      }
      if (this.node.database.isTombstoned(this.stream)) {
        this.call.write(wire.tombstoneEvent(this.stream))
        return this.end(wire.streamDeleted(this.stream))
      }
      if (!told && (this.node.caughtUpOnEmpty || this.source().length > 0)) {
        told = true
        this.call.write(wire.caughtUp())
      }
      if (!(await this.change())) return
    }
  }

  private source(): readonly Recorded[] {
    return this.stream === '$all' ? this.node.database.log : this.node.database.events(this.stream)
  }

  /** Resolves to false when the reading is over. Waits for a slow reader as HTTP/2 flow control does. */
  private async send(message: Buffer): Promise<boolean> {
    if (this.gone.signal.aborted) return false
    if (this.sent > 0 && this.fault === 'stall') return false
    this.sent += 1
    if (this.call.write(message)) await this.giveWay()
    else await this.until(once(this.call, 'drain', { signal: this.gone.signal }))
    if (this.fault === 'end-quietly') this.end()
    return !this.gone.signal.aborted
  }

  /** What was appended together goes out together, as from a real server; but others are served in between. */
  private async giveWay(): Promise<void> {
    if (this.sent % BURST === 0) await new Promise(setImmediate)
  }

  private async change(): Promise<boolean> {
    const { signal } = this.gone
    await this.until(once(this.node.database.changes, 'changed', { signal }))
    if (this.node.deliveryDelayMs > 0)
      await this.until(pause(this.node.deliveryDelayMs, undefined, { signal }))
    return !this.gone.signal.aborted
  }

  private async until(event: Promise<unknown>): Promise<void> {
    try {
      await event
    } catch (error) {
      if (!this.gone.signal.aborted) throw error
    }
  }

  private forget(): void {
    this.gone.abort()
    this.node.openReads.delete(this)
  }
}
