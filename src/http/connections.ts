// The connections of a listener and the requests under way on them, bounded before anything is awaited. Node bounds
// neither: requests that one connection pipelines are all begun, and replies that are never read are all kept.

import { readFileSync } from 'node:fs'
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'

import { type Pool, poolOf } from './request-cost.js'

export interface ConnectionLimits {
  connections: number
  /** Requests begun and not answered, weighed by request-cost.ts. */
  underWay: Record<Pool, number>
  underWayPerConnection: number
  /** Refused ones included, until their replies are taken. Beyond it the connection with most unread replies is closed. */
  held: number
  /** Beyond it the connection is closed. */
  heldPerConnection: number
}

const MOST_CONNECTIONS = 2048
/** Files, the ledger, and 256 connections each to the session backend and to STS. */
const OTHER_DESCRIPTORS = 640

/**
 * What 192 MB of heap bear on a machine that has no time for garbage: a request under way takes up to 90 KB with all that
 * the framework makes of it, one that is held takes less, and the rest of a broker takes 40 MB.
 */
export const LIMITS: ConnectionLimits = {
  connections: connectionsWithin(descriptorLimit()),
  underWay: { work: 768, light: 384 },
  underWayPerConnection: 16,
  held: 1536,
  heldPerConnection: 64,
}

/** How long a reply may wait for its reader. */
const TAKEN_WITHIN_MS = 20_000
const SWEEP_EVERY_MS = 5_000
/** While stopping: how long a request may take to arrive, and a reply to be taken. */
const LAST_WITHIN_MS = 2_000
const LAST_SWEEP_EVERY_MS = 200

interface Exchange {
  request: IncomingMessage
  /** When the reply was complete. */
  endedAt: number | undefined
  /** The reply was taken, or the connection is gone. */
  closed: boolean
  release: () => void
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export class Connections {
  private readonly open = new Map<Socket, Set<Exchange>>()
  private readonly load: Record<Pool, number> = { work: 0, light: 0 }
  private held = 0
  private sweep: NodeJS.Timeout | undefined

  constructor(
    private readonly refuse: Handler,
    private readonly limits: ConnectionLimits = LIMITS,
  ) {}

  get count(): number {
    return this.open.size
  }

  get underWay(): number {
    return this.load.work + this.load.light
  }

  /** A server whose requests reach `handler` while there is room for them, and `refuse` beyond it. */
  createServer(options: ServerOptions, handler: Handler): Server {
    const server = createServer(options, (request, response) => {
      if (this.admits(request, response)) handler(request, response)
    })
    server.on('connection', (socket) => this.opened(socket))
    this.sweep ??= setInterval(() => this.cutOff(unread(TAKEN_WITHIN_MS)), SWEEP_EVERY_MS).unref()
    return server
  }

  /**
   * Cuts off what never sent a request, or has its answer; what is half sent or not taken yet, a moment later. Only
   * requests that are being worked on are waited for: others could hold up the end for as long as they like.
   */
  beginClose(): void {
    clearInterval(this.sweep)
    this.cutOff((exchanges) => exchanges.size === 0)
    const startedAt = performance.now()
    const last = setInterval(() => {
      if (this.open.size === 0) clearInterval(last)
      if (performance.now() - startedAt > LAST_WITHIN_MS) this.cutOff((exchanges) => !isWorking(exchanges))
    }, LAST_SWEEP_EVERY_MS)
    last.unref()
  }

  private opened(socket: Socket): void {
    if (this.open.size >= this.limits.connections && !this.makeRoom()) {
      socket.destroy()
      return
    }
    this.open.set(socket, new Set())
    socket.once('close', () => {
      const exchanges = this.open.get(socket) ?? new Set()
      this.open.delete(socket)
      // A reply that waits behind another one gets no event when its connection closes.
      for (const exchange of exchanges) close(exchange)
    })
  }

  /** The connection that has been without a request for longest gives way to a new one. */
  private makeRoom(): boolean {
    for (const [socket, exchanges] of this.open) {
      if (exchanges.size > 0) continue
      this.open.delete(socket)
      socket.destroy()
      return true
    }
    return false
  }

  private admits(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request
    const exchanges = this.open.get(socket)
    const { held, heldPerConnection, underWay, underWayPerConnection } = this.limits
    if (!exchanges || exchanges.size >= heldPerConnection) socket.destroy()
    else if (this.held >= held) this.mostUnread()?.destroy()
    if (!exchanges || socket.destroyed) return false
    const { pool, weight } = poolOf(request.url ?? '')
    const fits = exchanges.size < underWayPerConnection && this.load[pool] + weight <= underWay[pool]
    this.hold(request, response, fits ? pool : undefined, weight)
    if (!fits) this.refuse(request, response)
    return fits
  }

  /** The connection that pays when too many replies are unread: never one that reads its own. */
  private mostUnread(): Socket | undefined {
    let [found, most]: [Socket | undefined, number] = [undefined, 0]
    for (const [socket, exchanges] of this.open) {
      if (socket.destroyed) continue
      const replies = [...exchanges].filter(({ endedAt }) => endedAt !== undefined).length
      if (replies > most) [found, most] = [socket, replies]
    }
    return found
  }

  /** Until it is answered and the reply is taken: a caller who goes away does not end the work that was begun. */
  private hold(
    request: IncomingMessage,
    response: ServerResponse,
    pool: Pool | undefined,
    weight: number,
  ): void {
    const { socket } = request
    const exchanges = this.open.get(socket)
    const release = () => {
      exchanges?.delete(exchange)
      this.held -= 1
      if (pool) this.load[pool] -= weight
      // Last among those that may have to make room.
      if (exchanges && this.open.delete(socket)) this.open.set(socket, exchanges)
    }
    const exchange: Exchange = { request, endedAt: undefined, closed: false, release }
    exchanges?.add(exchange)
    this.held += 1
    if (pool) this.load[pool] += weight
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse
    response.end = ((...args: unknown[]) => {
      const first = exchange.endedAt === undefined
      exchange.endedAt ??= performance.now()
      if (first && exchange.closed) release()
      return end(...args)
    }) as ServerResponse['end']
    response.once('close', () => close(exchange))
  }

  private cutOff(chosen: (exchanges: ReadonlySet<Exchange>) => boolean): void {
    for (const [socket, exchanges] of this.open) if (chosen(exchanges)) socket.destroy()
  }
}

function close(exchange: Exchange): void {
  if (exchange.closed) return
  exchange.closed = true
  if (exchange.endedAt !== undefined) exchange.release()
}

/** A request that has arrived whole and is not answered. */
function isWorking(exchanges: ReadonlySet<Exchange>): boolean {
  return [...exchanges].some(({ request, endedAt }) => request.complete && endedAt === undefined)
}

/** The first reply waits for its reader. */
function unread(ms: number): (exchanges: ReadonlySet<Exchange>) => boolean {
  return (exchanges) => {
    const [first] = exchanges
    return first?.endedAt !== undefined && performance.now() - first.endedAt > ms
  }
}

export function connectionsWithin(descriptors: number): number {
  return Math.min(MOST_CONNECTIONS, Math.max(Math.floor(descriptors / 4), descriptors - OTHER_DESCRIPTORS))
}

function descriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity)
  } catch {
    // No Linux: the least that systems give.
    return 1024
  }
}
