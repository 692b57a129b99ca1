// The load: keep-alive connections, one request in flight on each, bytes made beforehand and replies read no further
// than needed. It shares the machine with what it measures, so it must cost little.

import { connect, type Socket } from 'node:net'

import { answerOrders } from './child.js'
import { Histogram } from './histogram.js'

export interface LoadOrder {
  port: number
  /** Connected to instead of the port. */
  socketPath?: string
  /** Posted to, unless there is `below`. */
  path: string
  /** Then each request gets the path and, behind it, a number below this: another one each time. */
  below?: number
  /** One connection for each. */
  bearers: string[]
  /** Of another server: sent as it stands here, without a bearer. */
  request?: {
    method: 'GET' | 'POST'
    host: string
    /** `Name: value` */
    headers: readonly string[]
    body: string | undefined
  }
  /** Whichever comes first. */
  seconds?: number
  requests?: number
  /** So many requests a second, whatever becomes of those before, as long as a connection is free. Default: no pause. */
  perSecond?: number
}

export interface LoadResult {
  requests: number
  seconds: number
  p50Ms: number
  p99Ms: number
  maxMs: number
  /** The largest reply's, head and all. */
  maxReplyBytes: number
}

class Run {
  private readonly latencies = new Histogram()
  private readonly started = performance.now()
  private sent = 0
  private answered = 0
  private maxMs = 0
  private maxReplyBytes = 0

  constructor(private readonly order: LoadOrder) {}

  async result(): Promise<LoadResult> {
    await Promise.all(this.order.bearers.map((bearer) => this.connection(bearer)))
    return {
      requests: this.answered,
      seconds: (performance.now() - this.started) / 1000,
      p50Ms: this.latencies.percentile(0.5),
      p99Ms: this.latencies.percentile(0.99),
      maxMs: this.maxMs,
      maxReplyBytes: this.maxReplyBytes,
    }
  }

  /** Sends, waits for the whole reply, sends again. Rejects at the first reply that is no success. */
  private connection(bearer: string): Promise<void> {
    const { port, socketPath, request } = this.order
    const next = this.requests(bearer)
    return new Promise((resolve, reject) => {
      const host = request?.host ?? '127.0.0.1'
      const socket =
        socketPath === undefined ? connect({ port, host, noDelay: true }) : connect({ path: socketPath })
      const end = (error?: Error) => {
        socket.destroy()
        if (error) reject(error)
        else resolve()
      }
      let sentAt = 0
      const send = () => {
        if (!this.mayGoOn()) return end()
        const due = this.due()
        this.sent += 1
        const now = performance.now()
        if (due <= now) write(due)
        else setTimeout(() => write(due), due - now)
      }
      const write = (due: number) => {
        // What a caller waits counts from when it wanted to ask. A timer may be early by a part of a millisecond.
        sentAt = Math.min(due, performance.now())
        socket.write(next())
      }
      socket.on('connect', send)
      onReply(socket, (reply) => {
        if (!/^HTTP\/1\.1 20[0-6] /.test(reply)) return end(new Error(`a reply was ${reply.slice(0, 500)}`))
        this.count(performance.now() - sentAt, reply.length)
        send()
      })
      socket.on('error', end)
      socket.on('end', () => end(new Error('the server closed a connection')))
    })
  }

  private requests(bearer: string): () => string | Buffer {
    const { port, path, below, request } = this.order
    if (request) return fixed(requestBytes(path, port, request))
    const rest = `HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${bearer}`
    if (below === undefined) {
      return fixed(Buffer.from(`POST ${path} ${rest}\r\nContent-Length: 0\r\n\r\n`))
    }
    return () => `GET ${path}${Math.floor(Math.random() * below)} ${rest}\r\n\r\n`
  }

  private mayGoOn(): boolean {
    const { seconds = Infinity, requests = Infinity } = this.order
    return this.sent < requests && this.due() - this.started < seconds * 1000
  }

  /** When the next request is to be sent. */
  private due(): number {
    const { perSecond } = this.order
    return perSecond === undefined ? performance.now() : this.started + (this.sent * 1000) / perSecond
  }

  private count(ms: number, replyBytes: number): void {
    this.answered += 1
    this.maxReplyBytes = Math.max(this.maxReplyBytes, replyBytes)
    this.latencies.add(ms)
    if (ms > this.maxMs) this.maxMs = ms
  }
}

const fixed = (bytes: Buffer) => () => bytes

type Request = NonNullable<LoadOrder['request']>

function requestBytes(path: string, port: number, { method, host, headers, body }: Request): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}:${port}`, ...headers]
  if (body !== undefined)
    lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`)
}

/** Calls back with each whole reply. Knows where one ends by Content-Length or by the last chunk, and no more of HTTP. */
function onReply(socket: Socket, take: (reply: string) => void): void {
  let received = ''
  // One character is one byte, so lengths need no second look.
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
    const headEnd = received.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const head = received.slice(0, headEnd + 2)
    const [, length] = /\r\ncontent-length: *(\d+)\r\n/i.exec(head) ?? []
    const chunked = length === undefined && /\r\ntransfer-encoding: *chunked\r\n/i.test(head)
    if (length === undefined && !chunked)
      return void socket.destroy(new Error('a reply has no Content-Length and no chunks'))
    const whole = chunked
      ? received.endsWith('\r\n0\r\n\r\n')
      : received.length >= headEnd + 4 + Number(length)
    if (!whole) return
    const reply = received
    received = ''
    take(reply)
  })
}

answerOrders((order: LoadOrder) => new Run(order).result())
