// What is answered where there is no room: without a route, a body or a handler, so that it costs next to nothing.

import type { IncomingMessage, ServerResponse } from 'node:http'

import { commonHeaders, errorBody, headersOf, JSON_TYPE, newRequestId, statusOf } from './error-body.js'

export const NO_ROOM = 'as many requests are under way as this broker takes; come back in a moment'

/** Returns the id under which it was answered. */
export function refuseOverloaded(_request: IncomingMessage, response: ServerResponse): string {
  const requestId = newRequestId()
  const body = errorBody('too-many-under-way', NO_ROOM)
  response.writeHead(statusOf('too-many-under-way'), {
    ...commonHeaders(requestId),
    ...headersOf('too-many-under-way'),
    'Content-Type': JSON_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    Connection: 'close',
  })
  response.end(body)
  return requestId
}
