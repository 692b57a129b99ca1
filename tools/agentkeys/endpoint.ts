// A container-credentials endpoint on loopback: one bearer, and nothing for a web page.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { containerCredentials } from './aws-forms.js'
import type { HeldCredentials } from './held-credentials.js'
import { failure, failureOf, type JsonReply, sendJson } from './json-reply.js'

export interface Endpoint {
  /** Exactly http://127.0.0.1:PORT/credentials: older SDKs know no other spelling. */
  url: string
  port: number
  /** 256 bits. Sent as it is, without a scheme. */
  token: string
  close(): void
}

/** A port and token of before, so that a child's environment stays good over a restart. */
export type Before = Pick<Endpoint, 'port' | 'token'>

/** Rejects when `before.port` is taken. */
export async function openEndpoint(
  credentials: () => Promise<HeldCredentials>,
  before: Before = { port: 0, token: randomBytes(32).toString('base64url') },
): Promise<Endpoint> {
  const { token } = before
  const server = createServer((request, reply) => {
    void answer(request, reply)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(before.port, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  const answer = async (request: IncomingMessage, reply: ServerResponse) => {
    const refusal = refusalOf(request, { host, token })
    if (refusal) return sendJson(reply, refusal)
    try {
      sendJson(reply, { status: 200, body: containerCredentials(await credentials()) })
    } catch (error) {
      sendJson(reply, failureOf(error))
    }
  }
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://${host}/credentials`, port, token, close }
}

function refusalOf(
  { method, headers }: IncomingMessage,
  { host, token }: { host: string; token: string },
): JsonReply | undefined {
  // A page that rebinds its name to 127.0.0.1 sends that name as Host; a browser also says Origin.
  if (headers.host !== host || headers.origin !== undefined)
    return failure(403, 'AgentKeysForbidden', 'the endpoint is for the AWS SDKs of one session')
  if (method !== 'GET') return failure(405, 'AgentKeysMethodNotAllowed', 'the endpoint answers GET only')
  if (!isSame(headers.authorization ?? '', token))
    return failure(401, 'AgentKeysUnauthorized', 'AWS_CONTAINER_AUTHORIZATION_TOKEN is missing or wrong')
  return undefined
}

/** Through a hash, so that neither length nor content is seen in the time it takes. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHash('sha256').update(text).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b)
}
