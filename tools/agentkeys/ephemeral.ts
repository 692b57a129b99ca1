// A child session for one command: a wallet of its own, credentials in memory alone, revoked when the command ends.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { CredentialsAsk } from '../client/broker-client.js'
import { ClientError } from '../client/errors.js'

import { Backend } from './backend.js'
import type { Context } from './context.js'
import { CredentialHolder } from './credential-holder.js'
import { mintCredentials } from './credentials.js'
import type { HeldCredentials } from './held-credentials.js'

const REVOKER = fileURLToPath(new URL('./revoke-at-end.js', import.meta.url))

/** The shortest that STS gives: what was handed out before the revocation lives no longer. */
const SHORTEST_SECONDS = 900

export interface Ephemeral {
  credentials: () => Promise<HeldCredentials>
  /** Resolves when the session backend has revoked the session, or could not be asked. */
  revoke: () => Promise<void>
}

export async function openEphemeral(context: Context, ask: CredentialsAsk): Promise<Ephemeral> {
  const { token: bearer } = await context.requireSession()
  const backend = await Backend.of(context)
  // Before there is a session to revoke: it does so when its stdin ends, and that ends with us, by SIGKILL too.
  const revoker = spawn(process.execPath, [REVOKER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = once(revoker, 'exit')
  const revoke = async () => {
    revoker.stdin.end()
    const [code] = (await ended) as [number | null]
    if (code !== 0) context.note('the child session could not be revoked: it ends with your own')
  }
  try {
    const session = await childSession(backend, bearer)
    revoker.stdin.write(JSON.stringify({ backend: backend.url.href, session }))
    return { credentials: heldCredentials(context.as(session), ask), revoke }
  } catch (error) {
    await revoke()
    throw error
  }
}

async function childSession(backend: Backend, bearer: string): Promise<string> {
  const scope = { services: ['aws'], read_only: false }
  const { session } = await backend.ask({ method: 'POST', path: 'session/child', bearer, body: { scope } })
  if (typeof session === 'string' && session !== '') return session
  throw new ClientError('malformed_reply', 'unexpected reply of the session backend: session is missing')
}

/** No cache on disk: nothing of the session is left behind. */
function heldCredentials(context: Context, ask: CredentialsAsk): () => Promise<HeldCredentials> {
  const holder = new CredentialHolder({
    mint: () => mintCredentials(context, { durationSeconds: SHORTEST_SECONDS, ...ask }),
    onRenewalFailed: ({ message }) => context.note(`credentials could not be renewed: ${message}`),
  })
  return () => holder.get()
}
