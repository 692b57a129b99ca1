import type { FastifyInstance, FastifyRequest } from 'fastify'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** The methods that the request's path knows, of which its own is none. Empty: nobody knows the path. */
export function allowedMethods({ server, url, method: asked }: FastifyRequest): string[] {
  const path = url.split('?', 1)[0] ?? '/'
  const known: string[] = METHODS.filter((method) => server.findRoute({ method, url: path }) !== null)
  // The router also finds /ledger/proof/:index for /ledger/proof/, and then does not take it.
  return known.includes(asked) ? [] : known
}

/**
 * No path of ours needs an escape, and proxies decode them or not: a rule in front of the broker and the broker must mean
 * the same path by the same bytes.
 */
export function refuseEncodedPaths(server: FastifyInstance): void {
  server.addHook('onRequest', ({ url }, reply, done) => {
    if (!url.split('?', 1)[0]?.includes('%')) return done()
    reply.outcome = 'not_found'
    void reply.status(404).header('Cache-Control', 'no-store').send()
  })
}
