// What a session backend's answer says of a child session.

import {
  type ChildSession,
  MOST_PARENTS,
  MOST_SERVICES,
  type ParentSession,
  SERVICE,
} from '../domain/ledger/child-session.js'
import { parseWallet } from '../domain/wallet.js'
import { SessionError } from './session-backend.js'

/**
 * Undefined: no child session. Throws SessionError for what cannot be obeyed: a bound that no decision looks at would be
 * a bound that does not hold.
 */
export function childOf({ scope, parents }: Record<string, unknown>): ChildSession | undefined {
  if (absent(scope)) {
    if (absent(parents)) return undefined
    throw refused('parents without a scope')
  }
  if (!isScope(scope))
    throw refused('a scope that is not exactly services (a list of names) and read_only (true or false)')
  return { services: scope.services, readOnly: scope.read_only, parents: parentsOf(parents) }
}

function parentsOf(parents: unknown): ParentSession[] {
  if (absent(parents)) return []
  if (!Array.isArray(parents) || parents.length > MOST_PARENTS)
    throw refused(`parents that are not a list of at most ${MOST_PARENTS}`)
  return parents.map((parent: unknown) => {
    const wallet = isObject(parent) ? parseWallet(parent['wallet']) : undefined
    const tokenSha256 = isObject(parent) ? parent['session_sha256'] : undefined
    if (!wallet || typeof tokenSha256 !== 'string' || !/^[0-9a-f]{64}$/.test(tokenSha256))
      throw refused('a parent without wallet or session_sha256 in their form')
    return { wallet, tokenSha256 }
  })
}

function isScope(scope: unknown): scope is { services: string[]; read_only: boolean } {
  if (!isObject(scope) || Object.keys(scope).some((name) => name !== 'services' && name !== 'read_only'))
    return false
  const { services, read_only } = scope
  return typeof read_only === 'boolean' && Array.isArray(services) && areServices(services)
}

function areServices(services: readonly unknown[]): boolean {
  return (
    services.length <= MOST_SERVICES &&
    services.every((service) => typeof service === 'string' && SERVICE.test(service))
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Original backends send `"scope": null` for a session of its own. */
function absent(value: unknown): value is null | undefined {
  return value === undefined || value === null
}

function refused(what: string): SessionError {
  return new SessionError('backend-unreachable', `backend answered with ${what}`)
}
