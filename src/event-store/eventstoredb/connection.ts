import {
  DeadlineExceededError,
  NotLeaderError,
  type ResolvedEvent,
  StreamNotFoundError,
} from '@eventstore/db-client'

import { deadline } from '../../deadline.js'
import { StoreError } from '../event-store.js'
import type { Address, Credentials } from './address.js'
import { LedgerClient } from './client.js'
import type { FoundEvent } from './event.js'
import { readFailure } from './errors.js'

/** How long a read or a new subscription may be silent. The client has no deadline for them, whatever it is given. */
const SILENCE_MS = 10_000
/** What the client's own deadline is given before an append counts as stuck. */
export const GRACE_MS = 1_000

/** A read or subscription: a Readable that has to be cancelled, even when it was left early. */
export interface ServerStream {
  on(event: string, listener: (...args: never[]) => void): unknown
  pause(): unknown
  resume(): unknown
  destroy(error?: Error): unknown
  cancel?(): Promise<void> | void
  unsubscribe?(): Promise<void>
}

/** One client at a time, and a timeout around each of its calls. A client that got stuck is replaced. */
export class Connection {
  readonly credentials: Credentials
  private current: LedgerClient | undefined
  private readonly readings = new Set<ServerStream>()

  constructor(
    private readonly address: Address,
    readonly silenceMs = SILENCE_MS,
  ) {
    this.credentials = address.credentials
    this.current = connect(address)
  }

  get client(): LedgerClient {
    return (this.current ??= connect(this.address))
  }

  /** For a call that has an answer: `send` is given the deadline the client itself is to keep. */
  answer<T>(send: (client: LedgerClient, deadline: number) => Promise<T>): Promise<T> {
    const until = performance.now() + this.address.appendTimeoutMs
    return atTheLeader(() => this.answerWithin(Math.max(1, Math.ceil(until - performance.now())), send))
  }

  private async answerWithin<T>(
    ms: number,
    send: (client: LedgerClient, deadline: number) => Promise<T>,
  ): Promise<T> {
    const { client } = this
    const stuck = () => {
      this.replace(client)
      return new Error(`no answer within ${this.address.appendTimeoutMs} ms`)
    }
    try {
      return await deadline(ms + GRACE_MS, send(client, ms), stuck)
    } catch (error) {
      if (error instanceof DeadlineExceededError) this.replace(client)
      throw error
    }
  }

  /** Everything a read gives; undefined when the stream does not exist or is soft-deleted. Rejects with StoreError. */
  async collect(
    start: (client: LedgerClient) => ServerStream & AsyncIterable<ResolvedEvent>,
  ): Promise<FoundEvent[] | undefined> {
    try {
      return await atTheLeader(() => this.collectOnce(start))
    } catch (error) {
      if (error instanceof StreamNotFoundError) return undefined
      throw readFailure(error)
    }
  }

  private async collectOnce(
    start: (client: LedgerClient) => ServerStream & AsyncIterable<ResolvedEvent>,
  ): Promise<FoundEvent[]> {
    const { client } = this
    const reading = this.open(start(client))
    const silence = setTimeout(() => this.replace(client), this.silenceMs)
    const found: FoundEvent[] = []
    try {
      for await (const { event } of reading) {
        silence.refresh()
        if (event) found.push(event)
      }
      return found
    } finally {
      clearTimeout(silence)
      this.release(reading)
    }
  }

  /** Every reading is opened here in the tick that starts it, and left when it is done with. */
  open<R extends ServerStream>(reading: R): R {
    // An error reaches the iteration. One that comes earlier or later must not end the process.
    reading.on('error', ignore)
    this.readings.add(reading)
    return reading
  }

  /** Ends the call at the server too: leaving a `for await` does not. */
  release(reading: ServerStream): void {
    this.readings.delete(reading)
    const cancelled = reading.unsubscribe ? reading.unsubscribe() : reading.cancel?.()
    if (cancelled instanceof Promise) cancelled.catch(ignore)
  }

  /**
   * Lets go of a client that does not answer. Readings on it would hear nothing more, not even that they were
   * cancelled, so they are ended here.
   */
  replace(stuck: LedgerClient): void {
    if (this.current !== stuck) return
    this.current = undefined
    for (const reading of this.readings)
      reading.destroy(
        new StoreError('unavailable', `EventStoreDB did not answer within ${this.silenceMs} ms`),
      )
    stuck.close()
  }

  close(): void {
    const last = this.current
    this.current = undefined
    last?.close()
  }
}

/**
 * A node that does not lead names the one that does, and does nothing else. The client turns to it by itself, a moment
 * after the refusal.
 */
async function atTheLeader<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof NotLeaderError)) throw error
    await new Promise(setImmediate)
    return call()
  }
}

/** Throws StoreError 'refused' where the client can make nothing of the address, as when a certificate file is missing. */
export function assertUsable(address: Address): void {
  connect(address)
}

function connect({ clientUrl }: Address): LedgerClient {
  try {
    return LedgerClient.connect(clientUrl)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unknown'
    throw new StoreError('refused', `the EventStoreDB client rejected the ledger URL: ${why}`, {
      cause,
    })
  }
}

const ignore = (): void => undefined
