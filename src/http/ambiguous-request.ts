// Requests that another party in front may have read differently: refused, whatever they ask for.

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { BrokerError } from '../domain/errors.js'

/** Node keeps the first of these, or joins them. Two Authorization headers are a 401: bearer.ts. */
const ONLY_ONCE = ['host', 'content-type', 'content-length', 'content-encoding', 'transfer-encoding']

export function refuseAmbiguousRequests(server: FastifyInstance): void {
  server.addHook('onRequest', (request, _reply, done) => {
    const problem = ambiguityOf(request)
    done(problem === undefined ? undefined : new BrokerError('ambiguous-request', problem))
  })
  server.addHook('onRequest', ({ method, url }, _reply, done) => {
    const refused = method === 'POST' && url.includes('?')
    done(
      refused
        ? new BrokerError('query-not-allowed', 'a POST takes no query: send the fields as a JSON object')
        : undefined,
    )
  })
}

export function ambiguityOf({ raw, headers }: FastifyRequest): string | undefined {
  const names = raw.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
  const twice = ONLY_ONCE.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
  if (twice) return `there is more than one ${twice} header`
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return 'the only transfer encoding that is read is chunked'
  return undefined
}
