// What is answered where there is no room: without a route, a body or a handler, so that it costs next to nothing.

import type { IncomingMessage, ServerResponse } from 'node:http'

import { commonHeaders, errorBody, JSON_TYPE, KINDS, newRequestId } from './error-body.js'

export const NO_ROOM = 'as many requests are under way as this broker takes; come back in a moment'

/** Returns the id under which it was answered. */
export function refuseOverloaded(_request: IncomingMessage, response: ServerResponse): string {
  const requestId = newRequestId()
  const body = errorBody('overloaded', NO_ROOM, 'too-many-under-way')
  response.writeHead(KINDS.overloaded.status, {
    ...commonHeaders(requestId),
    'Content-Type': JSON_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'Retry-After': '1',
    Connection: 'close',
  })
  response.end(body)
  return requestId
}
