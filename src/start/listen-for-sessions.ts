// The session backend's routes on the address that the configuration gives them.

import type { Logger } from 'pino'

import type { Address } from '../config/address.js'
import { type ClientsConfig, isExposed } from '../config/clients.js'
import { type SessionListener, startSessionListener } from '../http/session-listener.js'
import { refuseAddress } from './service.js'
import { loadOrCreateToken } from '../storage/token-file.js'
import type { EmbeddedSessions } from '../session/embedded-sessions.js'

export function listenForSessions(
  sessions: EmbeddedSessions,
  bind: Address,
  clients: ClientsConfig,
  log: Logger,
): Promise<SessionListener> {
  const { mailRouterTokenFile: tokenFile } = clients
  const mailRouterToken = tokenFile === undefined ? undefined : loadOrCreateToken(tokenFile)
  const settings = { ...clients, mailRouterToken, exposed: isExposed(bind, clients) }
  return startSessionListener(sessions, bind, settings, log).catch(refuseAddress('BROKER_SESSION_BIND'))
}
