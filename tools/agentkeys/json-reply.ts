// Replies of the local endpoints, in the form that AWS SDKs show to their users.

import type { ServerResponse } from 'node:http'

import { ClientError } from '../client/errors.js'

import { CliError } from './report-error.js'

export interface JsonReply {
  status: number
  body: object
}

/** One line: some SDKs print the whole body. */
export function failure(status: number, code: string, message: string): JsonReply {
  return { status, body: { Code: code, Message: message.replace(/\s+/g, ' ') } }
}

/** 4xx makes an SDK give up at once, 503 makes it try again. */
export function failureOf(error: unknown): JsonReply {
  if (error instanceof CliError) return failure(403, 'AgentKeysRefused', `${error.message}; ${error.remedy}`)
  if (!(error instanceof ClientError)) return failure(503, 'AgentKeysUnavailable', (error as Error).message)
  const text = `${error.message}; ${error.remedy}`
  switch (error.code) {
    case 'unauthorized':
      return failure(401, 'AgentKeysSessionExpired', text)
    case 'bad_request':
      return failure(400, 'AgentKeysBadRequest', text)
    case 'forbidden':
    case 'receipt_invalid':
    case 'ledger_key_changed':
      return failure(403, 'AgentKeysRefused', text)
    default:
      return failure(503, 'AgentKeysUnavailable', text)
  }
}

export function sendJson(reply: ServerResponse, { status, body }: JsonReply): void {
  const text = JSON.stringify(body)
  reply.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  reply.end(text)
}
