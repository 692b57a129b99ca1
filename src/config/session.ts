// Who knows the sessions: a session backend at a URL, or the embedded one and where it listens.

import { type Address, isLoopback, parseAddress } from './address.js'
import { type Environment, InvalidSettingError, wholeNumber } from './environment.js'
import { crossesInClear, parseServiceUrl } from './urls.js'

export type SessionBackendConfig =
  | { readonly kind: 'embedded'; readonly bind: Address }
  | { readonly kind: 'http'; readonly url: string; readonly timeoutSeconds: number }

const DEFAULT_SESSION_BIND: Address = { host: '127.0.0.1', port: 8090 }

export function readSessionBackend(env: Environment, brokerPort: number): SessionBackendConfig {
  const timeoutSeconds = env.read('BROKER_BACKEND_TIMEOUT_SECONDS', wholeNumber(1, 300, 'seconds'), 10)
  if (env.has('BROKER_BACKEND_URL')) {
    const url = env.read('BROKER_BACKEND_URL', parseServiceUrl, 'http://127.0.0.1:8090')
    if (crossesInClear(url)) {
      env.warnings.push(`BROKER_BACKEND_URL=${url}: session bearers cross the network in clear; use https`)
    }
    if (env.has('BROKER_SESSION_BIND')) {
      env.warnings.push(
        'BROKER_SESSION_BIND has no effect: with BROKER_BACKEND_URL there is no embedded session backend',
      )
    }
    return { kind: 'http', url, timeoutSeconds }
  }
  const parse = (text: string) => parseSessionBind(text, brokerPort)
  const bind = env.read('BROKER_SESSION_BIND', parse, DEFAULT_SESSION_BIND)
  if (bind === DEFAULT_SESSION_BIND && bind.port === brokerPort) {
    env.problems.push(
      `--port ${brokerPort} is the embedded session backend's port: set BROKER_SESSION_BIND to another`,
    )
  }
  return { kind: 'embedded', bind }
}

function parseSessionBind(text: string, brokerPort: number): Address {
  const address = parseAddress(text)
  // POST /session/create with a bare auth_token gives a session to whoever can reach it.
  if (!isLoopback(address.host)) {
    throw new InvalidSettingError(
      'a loopback address, since whoever reaches it gets a session',
      'use 127.0.0.1:8090, or a session backend of your own with BROKER_BACKEND_URL',
    )
  }
  if (address.port !== 0 && address.port === brokerPort) {
    throw new InvalidSettingError(
      "a port other than the broker's own",
      'a proxy in front of the broker must not publish it',
    )
  }
  return address
}
