// One line and one count for every request: what was asked, how it ended, how long it took. Never a header or a body.

import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'

import type { ErrorReason } from '../domain/errors.js'
import type { Metrics } from './metrics.js'

declare module 'fastify' {
  interface FastifyReply {
    /** The error kind the request ended with; unset for `ok`. */
    outcome?: string
    /** Why, of a closed set (domain/errors.ts). */
    reason?: ErrorReason
    wallet?: string
    mintId?: string
  }
}

export function logRequests(server: FastifyInstance, log: Logger, metrics?: Metrics): void {
  server.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown'
    const { statusCode: status, elapsedTime, outcome = 'ok', reason, wallet, mintId } = reply
    const ms = Math.round(elapsedTime * 100) / 100
    metrics?.observe(
      { method: request.method, route, outcome: status < 400 ? 'ok' : outcome },
      elapsedTime / 1000,
    )
    if (reason) metrics?.refused(reason)
    log.info(
      { requestId: request.id, method: request.method, route, status, ms, outcome, wallet, mintId },
      'request',
    )
    done()
  })
}
