import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

import { Agent } from 'undici'

import { parseUrl } from '../../../src/domain/ledger/encoding.js'
import { UsageError } from '../usage-error.js'

import { exchange, type Reply, TooLong } from './exchange.js'
import { SourceError } from './source.js'
import type { Files } from './tiles.js'

export interface HttpOptions {
  /** The auditor's token: sent with entry bundles only, which are all that may need it. */
  token?: string
  /** Of one request that is refused for now, or lost. */
  attempts?: number
  /** Before the second attempt; twice that before the third, and so on. */
  backOffMs?: number
}

const CONNECTIONS = 8
const TIMEOUT_MS = 15_000
const MAX_WAIT_MS = 30_000
const MAX_PACKING_BYTES = 4_096

/** The outcome of an attempt: the file, that it is missing, or why to retry. */
type Answer = { bytes: Uint8Array | undefined } | { again: string; afterMs?: number }

/** A log behind http(s)://…/ledger. Redirects are not followed: they would carry the token, and the trust, elsewhere. */
export class HttpFiles implements Files {
  readonly description: string
  private readonly agent = new Agent({
    connect: { timeout: TIMEOUT_MS },
    connections: CONNECTIONS,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  })
  private readonly origin: string
  private readonly prefix: string
  private readonly encoding: string

  /** Throws UsageError for a URL that names no log, or over which a token must not go. */
  constructor(
    address: string,
    private readonly options: HttpOptions = {},
  ) {
    const url = logUrl(address)
    const loopback = isLoopback(url.hostname)
    if (options.token !== undefined && url.protocol === 'http:' && !loopback)
      throw new UsageError('a token goes over https: or to a loopback address only')
    this.origin = url.origin
    this.prefix = url.pathname.replace(/\/+$/, '')
    this.description = `${this.origin}${this.prefix}`
    // On one machine there is no way to shorten, and compressing would take the time of a core.
    this.encoding = loopback ? 'identity' : 'gzip'
  }

  async get(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const { attempts = 5, backOffMs = 250 } = this.options
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.attempt(path, maxBytes)
      if ('bytes' in answer) return answer.bytes
      if (attempt >= attempts) throw this.error(path, `${answer.again} (${attempts} attempts)`)
      const backOff = backOffMs * 2 ** (attempt - 1)
      await sleep(Math.min(Math.max(backOff, answer.afterMs ?? 0), MAX_WAIT_MS))
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }

  private async attempt(path: string, maxBytes: number): Promise<Answer> {
    try {
      const reply = await exchange(this.agent, {
        origin: this.origin,
        path: `${this.prefix}/${path}`,
        headers: this.headers(path),
        // What cannot be packed, as hashes cannot, becomes a little longer.
        maxLength: (headers) => maxBytes + (encodingOf(headers) === 'identity' ? 0 : MAX_PACKING_BYTES),
      })
      return reply.statusCode === 200
        ? { bytes: await this.body(reply, path, maxBytes) }
        : this.refusal(reply, path)
    } catch (error) {
      if (error instanceof SourceError) throw error
      if (error instanceof TooLong) throw this.error(path, `is longer than ${maxBytes} bytes`)
      // A code, where there is one: messages of the network may be empty, or quote what a server sent.
      const { code, name } = error as { code?: unknown; name: string }
      return { again: `no answer: ${typeof code === 'string' ? code : name}` }
    }
  }

  private headers(path: string): Record<string, string> {
    const headers = { 'accept-encoding': this.encoding, 'user-agent': 'verify-ledger' }
    const { token } = this.options
    return token !== undefined && path.startsWith('tile/entries/')
      ? { ...headers, authorization: `Bearer ${token}` }
      : headers
  }

  private refusal({ statusCode, headers }: Reply, path: string): Answer {
    if (statusCode === 404) return { bytes: undefined }
    if (statusCode === 401 || statusCode === 403) {
      const remedy =
        this.options.token === undefined ? 'give it with --token-file FILE' : 'this one is not it'
      throw this.error(path, `answered ${statusCode}: entries need the auditor token; ${remedy}`)
    }
    if (statusCode >= 300 && statusCode < 400) {
      throw this.error(path, `answered ${statusCode}, and redirects are not followed: give the final address`)
    }
    if (statusCode !== 429 && statusCode < 500) throw this.error(path, `answered ${statusCode}`)
    const seconds = Number(headers['retry-after'])
    return { again: `answered ${statusCode}`, ...(seconds > 0 && { afterMs: seconds * 1000 }) }
  }

  private async body({ bytes, headers }: Reply, path: string, maxBytes: number): Promise<Uint8Array> {
    switch (encodingOf(headers)) {
      case 'identity':
        return bytes
      case 'gzip':
        return this.unpacked(bytes, path, maxBytes)
      default:
        throw this.error(path, 'is in a content encoding that was not asked for')
    }
  }

  private async unpacked(bytes: Uint8Array, path: string, maxBytes: number): Promise<Uint8Array> {
    try {
      return await promisify(gunzip)(bytes, { maxOutputLength: maxBytes })
    } catch (cause) {
      throw this.error(path, `cannot be unpacked, or is longer than ${maxBytes} bytes`, cause)
    }
  }

  private error(path: string, problem: string, cause?: unknown): SourceError {
    return new SourceError(`${this.description} cannot be read: ${path} ${problem}`, { cause })
  }
}

function encodingOf(headers: IncomingHttpHeaders): string {
  return headers['content-encoding'] ?? 'identity'
}

function logUrl(address: string): URL {
  const url = parseUrl(address)
  if (!url) throw new UsageError('SOURCE is no URL, as in https://broker.example.com/ledger')
  // It would be in the shell's history, in the process list and in the report.
  if (url.username !== '' || url.password !== '')
    throw new UsageError('SOURCE must not hold a user or a password: use --token-file FILE')
  if (url.search !== '' || url.hash !== '') throw new UsageError('SOURCE must have no query and no fragment')
  return url
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
