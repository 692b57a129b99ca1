// What is refused before a route of the session backend sees it.

import type { IncomingHttpHeaders } from 'node:http'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { isLoopback } from '../config/address.js'
import { sendSessionError, SessionApiError, type SessionReason } from './session-error-body.js'
import type { SessionSettings } from './session-settings.js'

/**
 * A web page that the user of this machine has open can send requests here, and by rebinding its own name to 127.0.0.1
 * it can read the answers. But a browser always says where such a request comes from: in Host the page's name, in Origin
 * (of every POST) the page. Browsers must preflight a JSON request, and this server does not answer preflights.
 */
export function guardSessions(server: FastifyInstance, { exposed }: SessionSettings): void {
  server.addHook('onRequest', (request, reply, done) => {
    const objection = objectionTo(request, exposed)
    if (objection) sendSessionError(reply, new SessionApiError(...objection))
    else done()
  })
}

type Objection = [SessionReason, string]

function objectionTo(request: FastifyRequest, exposed: boolean): Objection | undefined {
  const { method, headers, raw } = request
  const hosts = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
  // Where others are served, the name is the proxy's matter: no bearer is in a browser, so a rebound name gains nothing.
  if (hosts.length !== 1 || (!exposed && !isLoopback(hostName(headers.host ?? ''))))
    return [
      'host-not-loopback',
      'the Host header must be a loopback address or localhost; behind a proxy, set BROKER_SESSION_URL',
    ]
  if (headers.origin !== undefined) return ['from-a-web-page', 'requests from web pages are not served']
  if (isForThisMachine(request) && (exposed || cameThroughProxy(headers)))
    return [
      'not-permitted',
      'this is for callers on this machine only: sign in with a wallet, POST /v1/auth/wallet/start',
    ]
  // PUT and DELETE are preflighted by every browser, and nothing here answers a preflight.
  if (method === 'POST' && !/^application\/json\s*(?:;.*)?$/i.test(headers['content-type'] ?? ''))
    return ['body-unsupported', 'the content type must be application/json']
  return undefined
}

/** What asks for no proof: it gives a session for any auth token, and takes mail for any address. */
const FOR_THIS_MACHINE: ReadonlySet<string> = new Set(['/session/create', '/mock/inbox/deliver'])

/** By the route that was matched: however the path was spelt. */
function isForThisMachine({ routeOptions: { url } }: FastifyRequest): boolean {
  return url !== undefined && FOR_THIS_MACHINE.has(url)
}

/** A proxy that nothing was said of: its callers may be anywhere, though it connects from this machine. */
function cameThroughProxy(headers: IncomingHttpHeaders): boolean {
  return Object.keys(headers).some((name) => /^(?:forwarded|via|x-forwarded-.*|x-real-ip)$/.test(name))
}

/** The port is not compared: through a tunnel it is another one. */
function hostName(header: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(header) ?? []
  return bracketed ?? plain ?? ''
}
