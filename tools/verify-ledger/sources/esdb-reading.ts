// Reading from EventStoreDB: each read with a limit to its silence, which the client does not have, and again when it
// was lost.

import { setTimeout as pause } from 'node:timers/promises'

import {
  AccessDeniedError,
  EventStoreDBClient,
  InvalidArgumentError,
  type ReadStreamOptions,
  StreamDeletedError,
  StreamNotFoundError,
  UnsupportedError,
} from '@eventstore/db-client'

import type { StoredEvent } from '../../../src/domain/ledger/stored-event.js'

import type { EsdbAddress, EsdbCredentials } from './esdb-address.js'
import { SourceError } from './source.js'

/** What the client makes of a recorded event: JSON already parsed, or a string where it was none. */
export interface FoundEvent extends StoredEvent {
  revision: bigint
  isJson: boolean
}

/**
 * missing     there is no such stream, or it was soft-deleted: only its metadata tells
 * tombstoned  it was deleted for good
 */
export type Found = FoundEvent[] | 'missing' | 'tombstoned'

export interface Patience {
  /** Of one read that is refused for now, or lost. */
  attempts?: number
  /** Before the second attempt; twice that before the third, and so on. */
  backOffMs?: number
  /** How long a read may be silent. */
  silenceMs?: number
}

/** No retry repairs these, though they look like a node that is down. */
const TLS_MISTAKE = /certificate|altnames|wrong version number|SSL routines/i

export class EsdbReading {
  private current: ClosableClient | undefined
  private readonly attempts: number
  private readonly backOffMs: number
  private readonly silenceMs: number

  constructor(
    private readonly address: EsdbAddress,
    { attempts = 4, backOffMs = 250, silenceMs = 15_000 }: Patience = {},
  ) {
    this.attempts = attempts
    this.backOffMs = backOffMs
    this.silenceMs = silenceMs
  }

  /** All that a read gives. Rejects with SourceError. */
  async read(stream: string, options: ReadStreamOptions): Promise<Found> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.readOnce(stream, options)
      } catch (error) {
        if (error instanceof StreamNotFoundError) return 'missing'
        if (error instanceof StreamDeletedError) return 'tombstoned'
        if (error instanceof SourceError) throw error
        const final = reasonForGood(error)
        if (final !== undefined || attempt >= this.attempts)
          throw this.error(final ?? `no answer: ${described(error)} (${attempt} attempts)`, error)
        await pause(this.backOffMs * 2 ** (attempt - 1))
      }
    }
  }

  close(): void {
    const last = this.current
    this.current = undefined
    if (last) last.close()
  }

  private async readOnce(stream: string, options: ReadStreamOptions): Promise<FoundEvent[]> {
    const client = (this.current ??= this.connect())
    const { credentials } = this.address
    // At the leader: a follower may not have the last entries yet, and would show a ledger that has shrunk.
    const reading = client.readStream(stream, { requiresLeader: true, ...options, ...given(credentials) })
    // An error reaches the iteration. One that comes earlier or later must not end the process.
    reading.on('error', ignore)
    const silence = setTimeout(() => {
      this.close()
      reading.destroy(new Error(`silence for ${this.silenceMs} ms`))
    }, this.silenceMs)
    const found: FoundEvent[] = []
    try {
      for await (const { event } of reading) {
        silence.refresh()
        if (event) found.push(event)
      }
      return found
    } finally {
      clearTimeout(silence)
      // Ends the call at the server too: leaving a `for await` does not.
      reading.cancel().catch(ignore)
    }
  }

  /** Connects at the first call, but reads the certificate files now. */
  private connect(): ClosableClient {
    try {
      return ClosableClient.connect(this.address.clientUrl)
    } catch (cause) {
      throw this.error((cause as Error).message, cause)
    }
  }

  private error(problem: string, cause: unknown): SourceError {
    return new SourceError(`${this.address.name} cannot be read: ${problem}`, { cause })
  }
}

const given = (credentials: EsdbCredentials | undefined) => (credentials ? { credentials } : {})

const UNAUTHENTICATED = 16

function reasonForGood(error: unknown): string | undefined {
  if (error instanceof AccessDeniedError) {
    return (error.code as number | undefined) === UNAUTHENTICATED
      ? 'EventStoreDB does not know this user and password: give a SOURCE env:NAME, with both in the URL'
      : 'EventStoreDB denies access: the user needs the right to read the stream and its metadata'
  }
  if (error instanceof InvalidArgumentError || error instanceof UnsupportedError) return described(error)
  const { message } = error as Error
  return TLS_MISTAKE.test(message) ? `TLS fails: ${message} (tlsCAFile names the CA)` : undefined
}

function described(error: unknown): string {
  return error instanceof Error ? `${error.constructor.name} ${error.message}`.trim() : String(error)
}

const ignore = (): void => undefined

/** dispose() leaves the connection open, and never ends when a stream was left that the server had finished. */
class ClosableClient extends EventStoreDBClient {
  static connect(url: string): ClosableClient {
    // connectionString makes the base class, whichever class it is called on.
    return Object.setPrototypeOf(
      EventStoreDBClient.connectionString(url),
      ClosableClient.prototype,
    ) as ClosableClient
  }

  close(): void {
    this.dispose().catch(ignore)
    this.getChannel().then((channel) => channel.close(), ignore)
  }
}
