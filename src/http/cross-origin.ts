// What a page of any site may read, so that a browser can verify a log. A route that takes a bearer is never among it.

import type { FastifyInstance } from 'fastify'

const PUBLIC_PATHS: ReadonlySet<string> = new Set([
  '/',
  '/openapi.json',
  '/.well-known/openid-configuration',
  '/.well-known/jwks.json',
  '/.well-known/agentkeys',
  '/ledger/checkpoint',
  '/ledger/vkey',
  '/ledger/proof',
])

const ALLOWED = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, Retry-After, X-Request-Id',
}

/** No Authorization among the headers, and no credentials: a page sends what it could send without a user. */
const PREFLIGHT = {
  'Access-Control-Allow-Methods': 'GET, HEAD',
  'Access-Control-Allow-Headers': 'If-None-Match',
  'Access-Control-Max-Age': '86400',
}

export function allowOtherOrigins(server: FastifyInstance, entriesArePublic: boolean): void {
  server.addHook('onRequest', ({ method, url, headers }, reply, done) => {
    if (!isPublic(url.split('?', 1)[0] as string, entriesArePublic)) return done()
    void reply.headers(ALLOWED)
    if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return done()
    void reply.status(204).headers(PREFLIGHT).send()
  })
}

/** By the path as it was sent: what is spelt with an escape is refused before (unknown-route.ts). */
export function isPublic(path: string, entriesArePublic: boolean): boolean {
  if (path.startsWith('/ledger/tile/entries/')) return entriesArePublic
  return PUBLIC_PATHS.has(path) || path.startsWith('/ledger/tile/') || path.startsWith('/ledger/proof/')
}
