import type { FastifyInstance, FastifyRequest } from 'fastify'

import { type Problem, sendError } from './error-reply.js'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export const NO_SUCH_PATH: Problem = {
  reason: 'no-such-path',
  detail: 'this server has no such path; GET /openapi.json lists those it has',
}

/** Of a path that no route has, or none for the request's method. The path is not repeated: it may hold a secret. */
export function unknownRoute(request: FastifyRequest): Problem {
  const allowed = allowedMethods(request)
  if (allowed.length === 0) return NO_SUCH_PATH
  const Allow = allowed.join(', ')
  return { reason: 'method-not-allowed', detail: `this path takes ${Allow}`, headers: { Allow } }
}

/** The methods that the request's path knows, of which its own is none. Empty: the path is unknown. */
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
    if (url.split('?', 1)[0]?.includes('%')) sendError(reply, NO_SUCH_PATH)
    else done()
  })
}
