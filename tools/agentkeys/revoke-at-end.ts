// A process of its own that revokes a session when its stdin ends: when `exec --ephemeral` does, however it does.

import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'

import { Backend } from './backend.js'

const ATTEMPTS = 6

// It is asked to end by its stdin alone.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

const order = await text(process.stdin)
if (order !== '') {
  const { backend, session } = JSON.parse(order) as { backend: string; session: string }
  process.exitCode = (await revoked(new Backend(new URL(backend)), session)) ? 0 : 1
}

async function revoked(backend: Backend, session: string): Promise<boolean> {
  const request = { method: 'POST', path: 'session/revoke', bearer: session } as const
  for (let attempt = 1; ; attempt += 1) {
    try {
      await backend.ask({ ...request, body: { target_session: session } })
      return true
    } catch {
      if (attempt >= ATTEMPTS) return false
      await pause(250 * 2 ** attempt)
    }
  }
}
