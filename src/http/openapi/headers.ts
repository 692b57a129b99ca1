// The headers of replies, but for those that HTTP itself needs to move a message.

import type { Schema } from './schemas.js'

function header(description: string, example: string, required = false): Schema {
  return { description, required, schema: { type: 'string', examples: [example] } }
}

export const HEADERS: Readonly<Record<string, Schema>> = {
  'X-Request-Id': header('the id of the request, which the log has too', '8c6f…', true),
  'X-Content-Type-Options': header('a browser takes the content type as it is', 'nosniff', true),
  'Cache-Control': header('how long the reply may be kept; no-store for errors', 'no-store'),
  ETag: header('for If-None-Match', '"5d41402abc4b2a76b9719d911017c592"'),
  Vary: header('the request header that the reply depends on', 'Accept-Encoding'),
  'Content-Encoding': header('gzip, where the request accepts it', 'gzip'),
  'Idempotency-Replayed': header('the reply is that of the first request with the key', 'true'),
  Link: header('this description, RFC 8631', '</openapi.json>; rel="service-desc"'),
  Allow: header('the methods of the path', 'GET, HEAD', true),
  'Retry-After': header('when to come back, in seconds', '1'),
  'WWW-Authenticate': header(
    'RFC 6750; error="invalid_token" for a bearer that is not valid',
    'Bearer realm="agentkeys-broker"',
    true,
  ),
  'Access-Control-Allow-Origin': header('a page of any site may read the reply', '*'),
  'Access-Control-Expose-Headers': header('and these headers', 'ETag, Retry-After, X-Request-Id'),
}

/** Of a route that pages of any site may read: http/cross-origin.ts. */
export const ANY_ORIGIN = ['Access-Control-Allow-Origin', 'Access-Control-Expose-Headers']

const OF_EVERY_REPLY = ['X-Request-Id', 'X-Content-Type-Options', 'Cache-Control']

const OF_STATUS: Readonly<Record<string, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  405: ['Allow'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}

export function headersOf(status: string, more: readonly string[]): Schema {
  const names = [...OF_EVERY_REPLY, ...(OF_STATUS[status] ?? []), ...more]
  return Object.fromEntries(names.map((name) => [name, { $ref: headerRef(name) }]))
}

export function headerRef(name: string): string {
  return `#/components/headers/${name}`
}
