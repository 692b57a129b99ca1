import type { FastifyRequest } from 'fastify'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** The methods that the request's path knows. Empty: nobody knows the path. */
export function allowedMethods({ server, url }: FastifyRequest): string[] {
  const path = url.split('?', 1)[0] ?? '/'
  return METHODS.filter((method) => server.findRoute({ method, url: path }) !== null)
}
