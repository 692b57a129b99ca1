// The session backend on its own: one for all brokers of a ledger, which ask it by BROKER_BACKEND_URL.

import { Logger as NestLogger } from '@nestjs/common'
import type { Logger } from 'pino'

import type { SessionServiceConfig } from '../config/session-service.js'
import { sessionsPath } from '../config/data-dir.js'
import { listenForSessions } from './listen-for-sessions.js'
import { NestLog } from '../logging.js'
import { runService, type Service } from './service.js'
import { EmbeddedSessions } from '../session/embedded-sessions.js'
import { openDataDir } from '../storage/data-dir.js'
import { looseModes } from '../storage/loose-modes.js'

export function runSessionBackend(config: SessionServiceConfig): Promise<void> {
  return runService('session backend', config, (log) => open(config, log))
}

async function open({ dataDir, bind, clients }: SessionServiceConfig, log: Logger): Promise<Service> {
  for (const problem of looseModes(dataDir, [])) log.warn(problem)
  // No broker and no second backend on the same sessions.
  const folder = openDataDir(dataDir, 'session-backend', () => '')
  const sessions = new EmbeddedSessions(sessionsPath(dataDir), () => new Date())
  const release = async () => {
    await sessions.close()
    folder.release()
  }
  try {
    await sessions.open()
    // Nest has one logger for the whole process.
    NestLogger.overrideLogger(new NestLog(log))
    const listener = await listenForSessions(sessions, bind, clients, log)
    return { address: listener.url, close: () => listener.close().then(release) }
  } catch (error) {
    await release()
    throw error
  }
}
