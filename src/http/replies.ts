import type { FastifyInstance } from 'fastify'

import { commonHeaders } from './error-body.js'

/** What all replies of both listeners have in common. */
export function setUpReplies(server: FastifyInstance): void {
  server.addHook('onRequest', ({ id }, reply, done) => {
    void reply.headers(commonHeaders(id))
    done()
  })
  // With a line end, a reply stands apart from the next prompt in a terminal.
  server.setReplySerializer(jsonText)
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}
