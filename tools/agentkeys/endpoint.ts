// A container-credentials endpoint for one child: loopback, one bearer, and nothing for a web page.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { ClientError } from '../client/errors.js'

import { containerCredentials } from './aws-forms.js'
import type { HeldCredentials } from './credentials.js'

export interface Endpoint {
  /** Exactly http://127.0.0.1:PORT/PATH: older SDKs know no other spelling. */
  url: string
  /** 256 bits. Sent as it is, without a scheme. */
  token: string
  close(): void
}

export async function openEndpoint(credentials: () => Promise<HeldCredentials>): Promise<Endpoint> {
  const token = randomBytes(32).toString('base64url')
  const server = createServer((request, reply) => {
    void answer(request, reply, { token, host, credentials })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://${host}/credentials`, token, close }
}

interface Guarded {
  token: string
  host: string
  credentials: () => Promise<HeldCredentials>
}

async function answer(
  request: IncomingMessage,
  reply: ServerResponse,
  { token, host, credentials }: Guarded,
): Promise<void> {
  // A page that rebinds its name to 127.0.0.1 sends that name as Host; a browser also says Origin.
  if (request.headers.host !== host || request.headers.origin !== undefined)
    return send(
      reply,
      403,
      failure('AgentKeysForbidden', 'the endpoint is for the AWS SDK of one child process'),
    )
  if (request.method !== 'GET')
    return send(reply, 405, failure('AgentKeysMethodNotAllowed', 'the endpoint answers GET only'))
  if (!isSame(request.headers.authorization ?? '', token))
    return send(
      reply,
      401,
      failure('AgentKeysUnauthorized', 'AWS_CONTAINER_AUTHORIZATION_TOKEN is missing or wrong'),
    )
  try {
    send(reply, 200, containerCredentials(await credentials()))
  } catch (error) {
    const { status, body } = describe(error)
    send(reply, status, body)
  }
}

/** 4xx: the SDK gives up at once. 503: it tries again. */
function describe(error: unknown): { status: number; body: object } {
  if (!(error instanceof ClientError))
    return { status: 503, body: failure('AgentKeysUnavailable', (error as Error).message) }
  const text = `${error.message}; ${error.remedy}`
  switch (error.code) {
    case 'unauthorized':
      return { status: 401, body: failure('AgentKeysSessionExpired', text) }
    case 'forbidden':
    case 'bad_request':
    case 'receipt_invalid':
    case 'ledger_key_changed':
      return { status: 403, body: failure('AgentKeysRefused', text) }
    default:
      return { status: 503, body: failure('AgentKeysUnavailable', text) }
  }
}

/** One line each: some SDKs print the whole body to their user. */
function failure(code: string, message: string): object {
  return { Code: code, Message: message.replace(/\s+/g, ' ') }
}

function send(reply: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  reply.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  reply.end(text)
}

/** Through a hash, so that neither length nor content is seen in the time it takes. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHash('sha256').update(text).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b)
}
