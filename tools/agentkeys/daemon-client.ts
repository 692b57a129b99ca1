// The daemon, asked first: it answers from memory. Where none runs, or it holds another session, the answer is undefined.

import { existsSync } from 'node:fs'

import type { CredentialsAsk } from '../client/broker-client.js'

import type { HeldCredentials } from './held-credentials.js'
import { CliError } from './report-error.js'
import { socketPath } from './runtime-dir.js'

/** A mint may be under way behind it; a daemon that hangs must not hang its callers. */
const TIMEOUT_MS = 20_000

export interface SessionName {
  brokerUrl: string
  sessionId: string
}

export async function askDaemon(
  { brokerUrl, sessionId }: SessionName,
  { role, durationSeconds }: CredentialsAsk,
): Promise<HeldCredentials | undefined> {
  const query = new URLSearchParams({
    broker: brokerUrl,
    session: sessionId,
    ...(role === undefined ? {} : { role }),
    ...(durationSeconds === undefined ? {} : { duration: String(durationSeconds) }),
  })
  // Where there is no socket, nothing of HTTP is loaded.
  if (!existsSync(socketPath())) return undefined
  const reply = await get(`/held-credentials?${query.toString()}`)
  if (!reply || reply.status === 404) return undefined
  const body = JSON.parse(reply.text) as Record<string, unknown>
  if (reply.status === 200) return body as unknown as HeldCredentials
  const message =
    typeof body['Message'] === 'string' ? body['Message'] : `the daemon answered ${reply.status}`
  throw new CliError(message, 'the daemon said so: its log has more', reply.status === 503 ? 3 : 1)
}

interface Reply {
  status: number
  text: string
}

/** Undefined where no daemon listens. */
async function get(path: string): Promise<Reply | undefined> {
  const { request } = await import('node:http')
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: socketPath(), path, agent: false, timeout: TIMEOUT_MS })
    call.on('error', ({ code }: NodeJS.ErrnoException) => {
      const absent =
        code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'EACCES' || code === 'ECONNRESET'
      if (absent) resolve(undefined)
      else reject(new CliError(`the daemon does not answer (${code})`, 'restart agentkeys-daemon'))
    })
    call.on('timeout', () => call.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })))
    call.on('response', (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', () => resolve(undefined))
    })
    call.end()
  })
}
