// A unix socket for one session: who may open it is that session. Folder 0700, socket 0600.

import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'

import { containerCredentials, processCredentials } from '../agentkeys/aws-forms.js'
import { failure, failureOf, type JsonReply, sendJson } from '../agentkeys/json-reply.js'
import { CliError } from '../agentkeys/report-error.js'
import type { CredentialsAsk } from '../client/broker-client.js'

import type { HeldSession } from './held-session.js'

export interface SocketServer {
  path: string
  close(): void
}

/** Rejects with CliError where another daemon serves it, or the folder is not safe. */
export async function serveSocket(path: string, session: HeldSession): Promise<SocketServer> {
  makeFolder(dirname(path))
  await removeStale(path)
  const server = createServer((request, reply) => {
    const headersOfBrowser = request.headers.origin !== undefined
    const answered = headersOfBrowser
      ? Promise.resolve(failure(403, 'AgentKeysForbidden', 'requests from web pages are not served'))
      : route(request, session).catch(failureOf)
    void answered.then((answer) => sendJson(reply, answer))
  })
  await listen(server, path)
  const close = () => {
    server.close()
    server.closeAllConnections()
    rmSync(path, { force: true })
  }
  return { path, close }
}

/** The socket is never open to others, not even between listen and chmod. */
async function listen(server: Server, path: string): Promise<void> {
  const umask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } finally {
    process.umask(umask)
  }
  chmodSync(path, 0o600)
}

function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(folder)
  const own = process.getuid === undefined || uid === process.getuid()
  if (own && (mode & 0o077) === 0) return
  throw new CliError(
    `${folder} can be entered by others`,
    `chmod 700 ${folder}, or set AGENTKEYS_RUNTIME_DIR`,
    1,
  )
}

/** A daemon that was killed leaves its socket behind: one that nothing listens on is removed. */
async function removeStale(path: string): Promise<void> {
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.on('connect', () => (probe.destroy(), resolve(true)))
    probe.on('error', () => resolve(false))
  })
  if (alive) throw new CliError(`another daemon serves ${path}`, 'use it, or stop it first', 1)
  rmSync(path, { force: true })
}

async function route({ method, url: target }: IncomingMessage, session: HeldSession): Promise<JsonReply> {
  if (method !== 'GET') return failure(405, 'AgentKeysMethodNotAllowed', 'the socket answers GET only')
  const { pathname, searchParams: query } = new URL(target ?? '/', 'http://localhost')
  switch (pathname) {
    case '/aws/credentials':
      return ok(containerCredentials(await session.credentials(askOf(query))))
    case '/aws/process-credentials':
      return ok(processCredentials(await session.credentials(askOf(query))))
    case '/held-credentials':
      return isSame(query, session) ? ok(await session.credentials(askOf(query))) : notHeld()
    case '/token':
      return ok(await token(query, session))
    case '/healthz':
      return ok({ ok: true, ...session.context.sessionName })
    default:
      return failure(
        404,
        'AgentKeysNotFound',
        'try /aws/credentials, /aws/process-credentials or /token?audience=A',
      )
  }
}

async function token(query: URLSearchParams, session: HeldSession): Promise<object> {
  const [audience, role, ttl] = [query.get('audience'), query.get('role'), secondsOf(query, 'ttl')]
  const { jwt, jti, wallet, expiresAt } = await session.token({
    ...(audience === null ? {} : { audience }),
    ...(role === null ? {} : { role }),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
  })
  return { jwt, jti, wallet, expires_at: expiresAt.toISOString() }
}

function askOf(query: URLSearchParams): CredentialsAsk {
  const [role, durationSeconds] = [query.get('role'), secondsOf(query, 'duration')]
  return {
    ...(role === null ? {} : { role }),
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
  }
}

function secondsOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  if (value === null) return undefined
  if (/^[1-9]\d{0,6}$/.test(value)) return Number(value)
  throw new CliError(`${name} must be a number of seconds`, 'correct the query', 1)
}

function isSame(query: URLSearchParams, { context: { sessionName } }: HeldSession): boolean {
  return query.get('broker') === sessionName.brokerUrl && query.get('session') === sessionName.sessionId
}

const ok = (body: object): JsonReply => ({ status: 200, body })
const notHeld = () => failure(404, 'AgentKeysNotHeld', 'this daemon holds another session')
