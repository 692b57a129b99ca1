import type { FastifyInstance } from 'fastify'

import type { Connections } from './connections.js'

/**
 * Answers that are given while the server closes end their connections. A caller that keeps an answered connection
 * open and has nothing more to ask would hold up the end for as long as it likes: only what is idle at the moment of
 * the close is closed by Node itself.
 */
export function endConnectionsAtClose(server: FastifyInstance, connections: Connections): void {
  let closing = false
  server.addHook('preClose', (done) => {
    closing = true
    connections.beginClose()
    done()
  })
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (closing) void reply.header('Connection', 'close')
    done(null, payload)
  })
}
