import type { FastifyInstance } from 'fastify'

/**
 * Answers that are given while the server closes end their connections. A caller that keeps an answered connection
 * open and has nothing more to ask would hold up the end for as long as it likes: only what is idle at the moment of
 * the close is closed by Node itself.
 */
export function endConnectionsAtClose(server: FastifyInstance): void {
  let closing = false
  server.addHook('preClose', (done) => {
    closing = true
    done()
  })
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (closing) void reply.header('Connection', 'close')
    done(null, payload)
  })
}
