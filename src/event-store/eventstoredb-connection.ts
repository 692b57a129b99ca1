import {
  DeadlineExceededError,
  EventStoreDBClient,
  type ResolvedEvent,
  StreamNotFoundError,
} from '@eventstore/db-client'

import type { Address, Credentials } from './eventstoredb-address.js'
import type { FoundEvent } from './eventstoredb-event.js'
import { readFailure } from './eventstoredb-outcome.js'
import { StoreError } from './event-store.js'

/** How long a read or a new subscription may be silent. The client has no deadline for them, whatever it is given. */
const SILENCE_MS = 10_000
/** What the client's own deadline is given before an append counts as stuck. */
const GRACE_MS = 1_000

/** A read or subscription of the client: a Readable that has to be cancelled, even when it was left early. */
export interface Reading extends AsyncIterable<ResolvedEvent> {
  on(event: string, listener: (...args: never[]) => void): unknown
  read(): unknown
  destroy(error?: Error): unknown
  cancel?(): Promise<void>
  unsubscribe?(): Promise<void>
}

/** One client at a time, and a timeout around each of its calls. A client that got stuck is replaced. */
export class Connection {
  readonly credentials: Credentials
  private current: EventStoreDBClient | undefined

  constructor(
    private readonly address: Address,
    readonly silenceMs = SILENCE_MS,
  ) {
    this.credentials = address.credentials
  }

  get client(): EventStoreDBClient {
    return (this.current ??= EventStoreDBClient.connectionString(this.address.clientUrl))
  }

  /** For a call that has an answer: `send` is given the deadline the client itself is to keep. */
  async answer<T>(send: (client: EventStoreDBClient, deadline: number) => Promise<T>): Promise<T> {
    const { client } = this
    const { appendTimeoutMs } = this.address
    let timer: NodeJS.Timeout | undefined
    const stuck = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        this.replace(client)
        reject(new Error(`no answer within ${appendTimeoutMs} ms`))
      }, appendTimeoutMs + GRACE_MS)
    })
    try {
      return await Promise.race([send(client, appendTimeoutMs), stuck])
    } catch (error) {
      if (error instanceof DeadlineExceededError) this.replace(client)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Everything a read gives; undefined when the stream does not exist or is soft-deleted. Rejects with StoreError. */
  async collect(open: (client: EventStoreDBClient) => Reading): Promise<FoundEvent[] | undefined> {
    const { client } = this
    const reading = open(client)
    reading.on('error', ignore)
    const silence = setTimeout(() => {
      this.replace(client)
      reading.destroy(new StoreError('unavailable', `the ledger did not answer within ${this.silenceMs} ms`))
    }, this.silenceMs)
    const found: FoundEvent[] = []
    try {
      for await (const { event } of reading) {
        silence.refresh()
        if (event) found.push(event)
      }
      return found
    } catch (error) {
      if (error instanceof StreamNotFoundError) return undefined
      throw readFailure(error)
    } finally {
      clearTimeout(silence)
      leave(reading)
    }
  }

  /** Lets go of a client that does not answer. Its subscriptions end with it, and come back on the next one. */
  replace(stuck: EventStoreDBClient): void {
    if (this.current !== stuck) return
    this.current = undefined
    void shut(stuck)
  }

  async close(): Promise<void> {
    const last = this.current
    this.current = undefined
    if (last) await shut(last)
  }
}

/** Ends the call at the server too: leaving a `for await` does not. */
export function leave(reading: Reading): void {
  const cancelled = reading.unsubscribe ? reading.unsubscribe() : reading.cancel?.()
  cancelled?.catch(ignore)
}

/** An error of a reading reaches whoever iterates it. What comes later, or before, must not take the process down. */
export const ignore = (): void => undefined

/** dispose() ends the calls and leaves the connection open; closing that is not worth waiting for. */
async function shut(client: EventStoreDBClient): Promise<void> {
  await client.dispose()
  client['getChannel']().then((channel) => channel.close(), ignore)
}
