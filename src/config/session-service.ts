// The settings of `agentkeys-broker session-backend`: those of the embedded one, in a folder of its own.

import { resolve } from 'node:path'

import type { Address } from './address.js'
import { type ClientsConfig, readClients } from './clients.js'
import { Environment, path, type Variables, wholeNumber } from './environment.js'
import { type LogLevel, readLogLevel } from './log-level.js'
import { readSessionBind } from './session.js'
import { unknownVariables } from './variables.js'

export interface SessionServiceConfig {
  readonly bind: Address
  readonly clients: ClientsConfig
  readonly dataDir: string
  readonly shutdownGraceSeconds: number
  readonly logLevel: LogLevel
}

export type SessionServiceReading =
  | { config: SessionServiceConfig; warnings: readonly string[] }
  | { problems: readonly string[]; warnings: readonly string[] }

export function readSessionService(variables: Variables): SessionServiceReading {
  const env = new Environment(variables)
  const { warnings, problems } = env
  warnings.push(...unknownVariables(Object.keys(variables)))
  const config: SessionServiceConfig = {
    bind: readSessionBind(env),
    clients: readClients(env),
    dataDir: env.read(
      'BROKER_DATA_DIR',
      path,
      resolve(variables['HOME'] || '.', '.agentkeys', 'session-backend'),
    ),
    shutdownGraceSeconds: env.read('BROKER_SHUTDOWN_GRACE_SECONDS', wholeNumber(0, 300, 'seconds'), 30),
    logLevel: readLogLevel(env),
  }
  return problems.length > 0 ? { problems, warnings } : { config, warnings }
}
