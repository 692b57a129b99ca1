import type { FastifyInstance, FastifyRequest } from 'fastify'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** The methods that the request's path knows. Empty: nobody knows the path. */
export function allowedMethods({ server, url }: FastifyRequest): string[] {
  const path = url.split('?', 1)[0] ?? '/'
  return METHODS.filter((method) => server.findRoute({ method, url: path }) !== null)
}

/**
 * No path of ours needs an escape, and proxies decode them or not: a rule in front of the broker and the broker must mean
 * the same path by the same bytes.
 */
export function refuseEncodedPaths(server: FastifyInstance): void {
  server.addHook('onRequest', ({ url }, reply, done) => {
    if (!url.split('?', 1)[0]?.includes('%')) return done()
    reply.outcome = 'not_found'
    void reply.status(404).send()
  })
}
