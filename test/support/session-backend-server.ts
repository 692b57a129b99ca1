// An external session backend on a real socket, doing to its caller what real ones do.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, type Socket } from 'node:net'

/**
 * session    200 with whatever stands here as the wallet (mixed case, nonsense) and agent; `wallet` left out is left out
 * reply      any status, body and headers
 * slow       a good answer after `afterMs`
 * silent     the request is read and never answered
 * trickle    a good head, then a body that comes byte by byte and has no end
 * flood      a good head, then a body without end as fast as it is taken
 * reset      the connection is reset, before any answer or in the middle of a body
 * stale      the first request of a connection is answered; the next one finds it closed, as an idle timeout would do
 */
export type Answer =
  | { kind: 'session'; wallet?: unknown; agent?: unknown }
  | { kind: 'reply'; status: number; body?: string; headers?: Record<string, string> }
  | { kind: 'slow'; afterMs: number; wallet: string }
  | { kind: 'silent' }
  | { kind: 'trickle' }
  | { kind: 'flood' }
  | { kind: 'reset'; when: 'before-the-answer' | 'within-the-body' }
  | { kind: 'stale'; wallet: string }

export interface SessionBackendServer {
  url: string
  /** What each bearer is answered. An unknown one gets 401 `session not found`. */
  answers: Map<string, Answer>
  /** `METHOD path` of every request, in order. */
  calls: string[]
  /** Connections accepted so far. */
  connections: () => number
  /** What `/healthz` answers: a status, or nothing at all. */
  health: { status: number | 'silent' }
  close(): Promise<void>
}

/** `prefix` puts the routes under a path, as behind a proxy. */
export async function startSessionBackendServer(prefix = ''): Promise<SessionBackendServer> {
  const sockets = new Set<Socket>()
  const served = new WeakMap<Socket, number>()
  let connections = 0
  const state = {
    answers: new Map<string, Answer>(),
    calls: [] as string[],
    health: { status: 200 as number | 'silent' },
  }

  const server = createServer((request, response) => {
    served.set(request.socket, (served.get(request.socket) ?? 0) + 1)
    state.calls.push(`${request.method} ${request.url}`)
    if (request.url === `${prefix}/healthz`) return answerHealth(response, state.health.status)
    if (request.method !== 'GET' || request.url !== `${prefix}/session/validate`)
      return json(response, 404, {})
    const answer = state.answers.get(bearerOf(request)) ?? unknownBearer
    give(answer, request, response, served.get(request.socket) ?? 1)
  })
  server.on('connection', (socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    ...state,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    connections: () => connections,
    close: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

const unknownBearer: Answer = {
  kind: 'reply',
  status: 401,
  body: JSON.stringify({ message: 'session not found' }),
}

function bearerOf(request: IncomingMessage): string {
  return /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

function give(answer: Answer, request: IncomingMessage, response: ServerResponse, nth: number): void {
  switch (answer.kind) {
    case 'session':
      return json(response, 200, { wallet: answer.wallet, agent: answer.agent })
    case 'reply':
      response.writeHead(answer.status, answer.headers).end(answer.body)
      return
    case 'slow':
      after(response, answer.afterMs, () => json(response, 200, { wallet: answer.wallet }))
      return
    case 'silent':
      return
    case 'trickle':
      response.writeHead(200).write('{"wallet":"')
      return trickle(response)
    case 'flood':
      response.writeHead(200)
      return flood(response)
    case 'reset':
      if (answer.when === 'before-the-answer') request.socket.resetAndDestroy()
      else
        response
          .writeHead(200, { 'content-length': 1000 })
          .write('{"wallet":', () => request.socket.resetAndDestroy())
      return
    case 'stale':
      if (nth > 1) request.socket.destroy()
      else json(response, 200, { wallet: answer.wallet })
      return
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function answerHealth(response: ServerResponse, status: number | 'silent'): void {
  if (status !== 'silent') response.writeHead(status).end('ok')
}

function trickle(response: ServerResponse): void {
  after(response, 5, () => {
    response.write('0')
    trickle(response)
  })
}

function flood(response: ServerResponse): void {
  const chunk = '0'.repeat(16 * 1024)
  while (!response.destroyed && response.write(chunk));
  response.once('drain', () => flood(response))
}

/** Does nothing if the caller has gone, and keeps no process alive. */
function after(response: ServerResponse, ms: number, act: () => void): void {
  const timer = setTimeout(act, ms)
  response.once('close', () => clearTimeout(timer))
}
