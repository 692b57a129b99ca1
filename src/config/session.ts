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
  const bind = readSessionBind(env)
  if (bind.port !== 0 && bind.port === brokerPort) {
    env.problems.push(
      `--port ${brokerPort} is the embedded session backend's port: set BROKER_SESSION_BIND to another, ` +
        'since a proxy in front of the broker must not publish it',
    )
  }
  return { kind: 'embedded', bind }
}

/** Where a session backend of ours listens. Beyond loopback it is exposed, and has to be given a URL. */
export function readSessionBind(env: Environment): Address {
  return env.read(
    'BROKER_SESSION_BIND',
    (text) => parseSessionBind(text, env.has('BROKER_SESSION_URL')),
    DEFAULT_SESSION_BIND,
  )
}

function parseSessionBind(text: string, hasUrl: boolean): Address {
  const address = parseAddress(text)
  if (isLoopback(address.host) || hasUrl) return address
  // Wallets sign for the URL, so it cannot be left to what a Host header says.
  throw new InvalidSettingError(
    'a loopback address, or BROKER_SESSION_URL beside it',
    'use 127.0.0.1:8090, or set BROKER_SESSION_URL to the https origin of the proxy in front of it',
  )
}
