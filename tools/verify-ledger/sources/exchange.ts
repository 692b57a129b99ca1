// One request and the whole of its reply. undici's own handlers, not its streams: a log is thousands of small files, and
// a stream for each takes as long as reading it.

import type { IncomingHttpHeaders } from 'node:http'

import type { Dispatcher } from 'undici'

/** From the first byte sent to the last byte read: a server that drips bytes is one that does not answer. */
const WHOLE_TIMEOUT_MS = 60_000
/** Of a reply that is no file, nothing is kept; so much is read for the connection's sake. */
const MAX_REFUSAL_BYTES = 64 * 1024

export interface Reply {
  statusCode: number
  headers: IncomingHttpHeaders
  /** Empty unless the status is 200. */
  bytes: Uint8Array
}

export class TooLong extends Error {}

export interface Get {
  origin: string
  path: string
  headers: Record<string, string>
  /** How much a 200 may hold, by its headers. */
  maxLength: (headers: IncomingHttpHeaders) => number
}

/** Rejects with TooLong, or with what the network did. */
export function exchange(agent: Dispatcher, { origin, path, headers, maxLength }: Get): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const handler = new Exchange(maxLength, resolve, reject)
    agent.dispatch({ origin, path, method: 'GET', headers }, handler)
  })
}

class Exchange implements Dispatcher.DispatchHandler {
  private timer: NodeJS.Timeout | undefined
  private statusCode = 0
  private headers: IncomingHttpHeaders = {}
  private limit = MAX_REFUSAL_BYTES
  private length = 0
  private readonly chunks: Buffer[] = []

  constructor(
    private readonly maxLength: Get['maxLength'],
    private readonly resolve: (reply: Reply) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const end = () => controller.abort(new DOMException('the reply took too long', 'TimeoutError'))
    this.timer = setTimeout(end, WHOLE_TIMEOUT_MS)
  }

  /** For each head: one or more of status 1xx may come before that of the reply. */
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
  ): void {
    this.statusCode = statusCode
    this.headers = headers
    this.limit = statusCode === 200 ? this.maxLength(headers) : MAX_REFUSAL_BYTES
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.length += chunk.length
    if (this.length > this.limit) controller.abort(new TooLong())
    else if (this.statusCode === 200) this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    clearTimeout(this.timer)
    const [first] = this.chunks
    const bytes = first && this.chunks.length === 1 ? first : Buffer.concat(this.chunks)
    this.resolve({ statusCode: this.statusCode, headers: this.headers, bytes })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.timer)
    // Whatever it goes on to say, it has said no.
    const saidNo = error instanceof TooLong && this.statusCode !== 200
    if (saidNo) this.resolve({ statusCode: this.statusCode, headers: this.headers, bytes: new Uint8Array() })
    else this.reject(error)
  }
}
