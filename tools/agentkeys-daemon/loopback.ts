// The daemon's endpoint on loopback. Its port and token are kept, so that a profile or a child that has them goes on
// working when the daemon is restarted.

import { join } from 'node:path'

import { readPrivateFile } from '../../src/storage/private-file.js'
import { writeFileAtomically } from '../../src/storage/atomic-file.js'
import { type Before, type Endpoint, openEndpoint } from '../agentkeys/endpoint.js'
import { CliError } from '../agentkeys/report-error.js'

import type { HeldSession } from './held-session.js'

export async function openLoopback(session: HeldSession): Promise<Endpoint> {
  const { home, sessionId } = session.context
  const path = join(home.folder, `endpoint-${sessionId}.json`)
  const endpoint = await reopen(() => session.credentials({}), readBefore(path))
  const { port, token } = endpoint
  writeFileAtomically(path, `${JSON.stringify({ port, token })}\n`, 0o600)
  return endpoint
}

async function reopen(
  credentials: Parameters<typeof openEndpoint>[0],
  before: Before | undefined,
): Promise<Endpoint> {
  try {
    return await openEndpoint(credentials, before)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !before) throw error
    throw new CliError(
      `port ${before.port}, which programs know this daemon by, is taken`,
      'stop what listens there; or remove endpoint-*.json in the folder of the broker for a new port',
      1,
      { cause: error },
    )
  }
}

function readBefore(path: string): Before | undefined {
  const text = readPrivateFile(path)
  if (text === undefined) return undefined
  const { port, token } = JSON.parse(text) as Before
  return { port, token }
}
