// Open, serve, and stop cleanly.

import type { Values } from '../agentkeys/command.js'
import { Context } from '../agentkeys/context.js'
import { socketPath } from '../agentkeys/runtime-dir.js'
import { parseSessionId } from '../agentkeys/sessions.js'

import { HeldSession } from './held-session.js'
import { openLoopback } from './loopback.js'
import { serveSocket } from './socket-server.js'

/** Resolves when it was stopped. Rejects with what keeps it from serving. */
export async function runDaemon(values: Values): Promise<number> {
  const stopped = stopSignal()
  const own = await openSession(values)
  const open: { close(): void }[] = []
  try {
    open.push(await serve(socketPath(), own))
    for (const id of namedSessions(values))
      open.push(
        await serve(socketPath(id), await openSession({ ...values, session: undefined, 'session-id': id })),
      )
    if (values['endpoint'] === true) {
      const endpoint = await openLoopback(own)
      open.push(endpoint)
      own.context.note(`serving AWS SDKs on ${endpoint.url}`)
    }
    await stopped
    return 0
  } finally {
    for (const one of open) one.close()
  }
}

async function openSession(values: Values): Promise<HeldSession> {
  const context = new Context(values)
  // Refused now, with the command to run, rather than at the first request.
  await context.requireSession()
  return new HeldSession(context)
}

async function serve(path: string, session: HeldSession) {
  const server = await serveSocket(path, session)
  session.context.note(`serving session ${session.context.sessionId} on ${path}`)
  return server
}

function namedSessions(values: Values): string[] {
  const named = values['socket-for']
  return Array.isArray(named) ? named.map((id: string) => parseSessionId(id)) : []
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
    // A terminal that is closed does not end it.
    process.on('SIGHUP', () => undefined)
  })
}
